// Which pixels are read, and what a leak does: a mask as a list of open taps, and the smallest model that reads them.
"use strict";

// Booleans that make.py has packed, eight to a byte, in base64.
function unpacked(base64) {
  return Array.from(atob(base64)).flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((k) => (byte.charCodeAt(0) >> k) & 1));
}

// What each pixel is to the one at `place`, in raster order; `reads[p]` says whether that one reads p.
function rolesOf(reads, place) {
  const role = (read, p) => (p < place ? (read ? "past" : "blind") : read ? "leak" : p === place ? "this pixel" : "future");
  return Array.from(reads, role);
}

// The pixels at some taps, [row, column] offsets, from `place`: their numbers in raster order, or -1 outside.
function around(taps, size, place) {
  const inside = (r, c) => r >= 0 && r < size && c >= 0 && c < size, row = Math.floor(place / size), column = place % size;
  return taps.map(([dr, dc]) => (inside(row + dr, column + dc) ? place + dr * size + dc : -1));
}

// What a pixel of size x size reads through a first layer with open `taps` and `depth` layers of 3x3 after it, mask B:
// from the last layer back to the image, every pixel that is reached reaches others.
function readThrough(taps, depth, size, place) {
  let reached = [place];
  for (const layer of [...Array(depth).fill(openTaps(3, 3, "B")), taps]) {
    reached = [...new Set(reached.flatMap((p) => around(layer, size, p)).filter((p) => p >= 0))];
  }
  return Array.from({ length: size * size }, (_, p) => reached.includes(p));
}

// What the layer reads of a picture of 0 and 1: for each tap -1 or 1, outside 0; and a 1 for the bias.
const inputsAt = (picture, taps, size, place) =>
  Float64Array.from([...around(taps, size, place).map((p) => (p < 0 ? 0 : picture[p] * 2 - 1)), 1]);

// What it reads at every pixel of some pictures, each finished, and the answers: as in training.
const questions = (pictures, taps, size) =>
  pictures.flatMap((picture) => picture.map((y, place) => [inputsAt(picture, taps, size, place), y]));

function inkOf(weights, inputs) {
  let logit = 0;
  for (let k = 0; k < inputs.length; k++) logit += inputs[k] * weights[k];
  return sigmoid(logit);
}

// One layer and a sigmoid, fitted by gradient ascent with Nesterov's momentum: the log-likelihood has one top.
function fitted(pictures, taps, size, steps = 120, rate = 0.2) {
  const asked = questions(pictures, taps, size);
  let weights = new Float64Array(taps.length + 1), ahead = weights;
  for (let n = 1; n <= steps; n++) {
    const slope = new Float64Array(weights.length), before = weights;
    for (const [x, y] of asked) {
      const error = (y - inkOf(ahead, x)) / asked.length;
      for (let k = 0; k < x.length; k++) slope[k] += error * x[k];
    }
    weights = ahead.map((weight, k) => weight + rate * slope[k]);
    ahead = weights.map((weight, k) => weight + ((n - 1) / (n + 2)) * (weight - before[k]));
  }
  return weights;
}

// Bits per pixel, counted as in training.
function bitsOf(weights, pictures, taps, size) {
  const asked = questions(pictures, taps, size), chance = (ink, y) => (y ? ink : 1 - ink);
  return asked.reduce((sum, [x, y]) => sum - Math.log2(chance(inkOf(weights, x), y)), 0) / asked.length;
}

// A picture, drawn pixel by pixel. What is to come is blank: a leak reads that where in training it read the answer.
function drawnWith(weights, taps, size, uniforms) {
  const picture = new Array(size * size).fill(0);
  uniforms.forEach((uniform, p) => { picture[p] = +(uniform >= 1 - inkOf(weights, inputsAt(picture, taps, size, p))); });
  return picture;
}
