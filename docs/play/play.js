// The page: canvases, buttons, and what they show. The arithmetic is in sampler.js and leak.js.
"use strict";

// One meaning for each colour, as in lessons/drawing.py.
const ROLES = { past: "#2f6f9f", "this pixel": "#d9822b", future: "#f1efe9", blind: "#c9b3dd", leak: "#c3272b" };
const SIDE = 336, $ = (id) => document.getElementById(id);
const shade = (share) => `rgb(${[32, 38, 46].map((ink) => Math.round(255 + share * (ink - 255)))})`;  // 0: white, 1: ink
const randomly = (count) => Array.from({ length: count }, Math.random);
const named = (p, W) => `row ${Math.floor(p / W) + 1}, column ${(p % W) + 1}`;

// Paint H x W cells, `colour(p)` each, with lines between them where there is room, and a frame around one.
function paint(canvas, H, W, colour, framed = -1) {
  const cell = Math.max(1, Math.floor(SIDE / Math.max(H, W))), pen = canvas.getContext("2d"), line = W > 16 ? 0 : 1;
  Object.assign(canvas, { width: W * cell, height: H * cell });
  for (let p = 0; p < H * W; p++) {
    pen.fillStyle = colour(p);
    pen.fillRect((p % W) * cell, Math.floor(p / W) * cell, cell - line, cell - line);
  }
  Object.assign(pen, { strokeStyle: ROLES["this pixel"], lineWidth: 3 });
  if (framed >= 0) pen.strokeRect((framed % W) * cell, Math.floor(framed / W) * cell, cell, cell);
  return pen;
}

// Let mouse, finger and keys point at cells of a canvas, of which there are `size()`, [H, W]. `drag(from, to)` gets places
// [x, y], the same twice at first; an arrow key leads to `move(p)`, and space to `mark(p)`.
function pointing(canvas, size, drag, move, mark) {
  let from = null, cursor = 0;
  const limited = (n, most) => Math.min(Math.max(n, 0), most);
  const placeOf = ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect(), [H, W] = size();
    return [limited((clientX - left) / width, 0.9999) * W, limited((clientY - top) / height, 0.9999) * H];
  };
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); drag((from = placeOf(event)), from); };
  canvas.onpointermove = (event) => from && drag(from, (from = placeOf(event)));
  canvas.onpointerup = canvas.onpointercancel = () => { from = null; };
  canvas.onkeydown = (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], " ": [0, 0] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [H, W] = size(), [dr, dc] = moves[event.key];
    cursor = limited(Math.floor(cursor / W) + dr, H - 1) * W + limited((cursor % W) + dc, W - 1);
    (event.key === " " ? mark : move)(cursor);
  };
}

// --- 1. completion
const SPEEDS = [2, 8, 30, 120, 500, 1e6];  // pixels per second
const EXAMPLES = [  // strokes of upper halves, x and y from 0 to 1
  [[[0.3, 0.25], [0.42, 0.16], [0.58, 0.16], [0.68, 0.26], [0.62, 0.38], [0.48, 0.46]]],
  [[[0.36, 0.52], [0.36, 0.34], [0.46, 0.2], [0.58, 0.2], [0.67, 0.34], [0.67, 0.52]]],
  [[[0.28, 0.2], [0.72, 0.2], [0.6, 0.5]]], [[[0.36, 0.16], [0.33, 0.46], [0.65, 0.46]], [[0.64, 0.16], [0.62, 0.52]]],
];
const files = {}, page = { examples: 0 };

// A model of the box is a script, NAME.js, which calls `boxed` with the file in base64.
function choose() {
  const name = $("model").value;
  if (files[name]) open(files[name]);
  else document.body.append(Object.assign(document.createElement("script"), { src: `${name}.js` }));
}

function boxed(about, base64) {
  files[about.name] = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)).buffer;
  $("credits").textContent += ` ${about.name}, ${about.architecture}, learnt from ${about.credit}: ${about.licence}.`;
  open(files[about.name]);
}

// A model from a file. What is wrong with the file is said on the page, and the model before it stays.
function open(buffer) {
  $("problem").textContent = "";
  try { page.model = modelOf(readModel(buffer)); }
  catch (error) { return void ($("problem").textContent = error.message); }
  const { H, W } = page.model;
  Object.assign(page, { own: new Array(H * W).fill(0), uniforms: randomly(H * W) });
  Object.assign($("rows"), { max: H, value: H >> 1 }).dispatchEvent(new Event("input"));
  $("example").click();
}

// Begin again with the user's rows and the same random numbers.
function restart(running) {
  const known = $("rows").value * page.model.W, temperature = Number($("temperature").value);
  const picture = new Picture(page.model, page.own, known, page.uniforms, temperature);
  Object.assign(page, { picture, running, shown: null, owed: 0, last: performance.now() });
  requestAnimationFrame(() => frame(picture));
}

// The user's rows at once, then as many pixels as are due; 12 ms at most, so that the page stays awake.
function frame(picture) {
  if (picture !== page.picture) return;  // another one has begun since
  const now = performance.now(), rate = SPEEDS[$("speed").value], yours = () => picture.place < picture.known;
  page.owed = page.running && !yours() ? Math.min(page.owed + (rate * (now - page.last)) / 1000, rate) : 0;
  page.last = now;
  while (!picture.done && (yours() || page.owed >= 1) && performance.now() < now + 12) {
    if (!yours()) page.owed--;
    picture.step();
  }
  page.running &&= !picture.done;
  show();
  if (page.running || yours()) requestAnimationFrame(() => frame(picture));
}

function show() {
  const { model: { H, W, Q }, picture } = page, { place, known, said, levels, done } = picture;
  const at = Math.min(page.shown ?? place, place - 1), grey = (level) => shade(level / (Q - 1));
  const pen = paint($("picture"), H, W, (p) => (p < known || p < place ? grey(levels[p]) : ROLES.future), at);
  pen.fillStyle = ROLES.past;
  pen.fillRect(0, (known / W / H) * $("picture").height - 1, $("picture").width, 2);
  const expected = (p) => said[p].reduce((sum, share, level) => sum + share * level, 0);
  paint($("ink"), H, W, (p) => (p < place ? grey(expected(p)) : ROLES.future), at);
  if (at >= 0) showBars(at);
  $("run").textContent = page.running ? "Pause" : "Draw";
  const bits = said.reduce((sum, shares, p) => sum - (p < known ? 0 : Math.log2(shares[levels[p]])), 0);
  $("status").textContent = done ? `Done. What the model drew costs ${bits.toFixed(1)} bits, at this temperature.` : "";
}

function showBars(p) {
  const { model: { W, Q }, picture } = page, pen = $("bars").getContext("2d"), width = SIDE / Q, height = SIDE - 40;
  pen.clearRect(0, 0, SIDE, SIDE);
  Object.assign(pen, { font: "15px system-ui, sans-serif", textAlign: "center" });
  picture.said[p].forEach((share, k) => {
    const top = height * (1 - share) + 20, middle = (k + 0.5) * width;
    pen.fillStyle = ROLES[k === picture.levels[p] ? "this pixel" : "past"];
    pen.fillRect((k + 0.1) * width, top, width * 0.8, height * share);
    pen.fillStyle = shade(1);
    if (Q === 2) pen.fillText(share.toFixed(3), middle, top - 5);
    if (k % Math.ceil(Q / 9) === 0) pen.fillText(Q === 2 ? ["blank", "ink"][k] : k, middle, SIDE - 4);
  });
  const how = p < picture.known ? "what is there" : `picked by the random number ${picture.uniforms[p].toFixed(3)}`;
  $("said").textContent = `p(level | all before), ${named(p, W)}. In orange: ${how}.`;
}

// Ink along a line, in cells, in the user's rows.
function stroke([x, y], [toX, toY]) {
  const { W, Q } = page.model, radius = Math.max(0.72, W / 24), steps = Math.ceil(4 * Math.hypot(toX - x, toY - y)) + 1;
  for (let n = 0; n <= steps; n++) {
    const u = x + ((toX - x) * n) / steps - 0.5, v = y + ((toY - y) * n) / steps - 0.5;
    const near = (p) => Math.hypot((p % W) - u, Math.floor(p / W) - v) < radius;
    for (let p = 0; p < $("rows").value * W; p++) if (near(p)) page.own[p] = Q - 1;
  }
}

function completion() {
  const yours = (p) => p < $("rows").value * page.model.W, look = (p) => { page.shown = p; show(); };
  pointing($("picture"), () => [page.model.H, page.model.W], (from, to) => {
    const p = Math.floor(to[1]) * page.model.W + Math.floor(to[0]);
    if (!yours(p)) return look(p);
    stroke(from, to);
    restart(true);
  }, look, (p) => {
    if (yours(p)) page.own[p] = page.own[p] ? 0 : page.model.Q - 1;
    restart(true);
    page.shown = p;
  });
  $("example").onclick = () => {
    const scaled = ([x, y]) => [x * page.model.W, y * page.model.H], strokes = EXAMPLES[page.examples++ % EXAMPLES.length];
    page.own.fill(0);
    for (const points of strokes) points.slice(1).forEach((point, k) => stroke(scaled(points[k]), scaled(point)));
    restart(true);
  };
  $("clear").onclick = () => { page.own.fill(0); restart(false); };
  $("again").onclick = () => { page.uniforms = randomly(page.own.length); restart(true); };
  $("run").onclick = () => {
    if (page.picture.done) return restart(true);
    Object.assign(page, { running: !page.running, shown: null, last: performance.now() });
    frame(page.picture);
  };
  $("temperature").addEventListener("input", () => { page.picture.temperature = Number($("temperature").value); });
  $("rows").addEventListener("input", () => restart(false));
  $("file").onchange = async () => $("file").files[0] && open(await $("file").files[0].arrayBuffer());
  $("model").onchange = choose;
  choose();
}

// --- 2. receptive fields, and 3. leaks
// A map of SIZE x SIZE pixels in which one is picked: `reads(place)` says what that one reads, `tell(text)` shows a count.
function mapOf(canvas, reads, tell) {
  let place = 9 * SIZE + 3;
  const draw = () => {
    const roles = rolesOf(reads(place), place), count = (role) => roles.filter((other) => other === role).length;
    paint(canvas, SIZE, SIZE, (p) => ROLES[roles[p]]);
    tell(`${named(place, SIZE)} reads ${count("past")} of ${place} earlier pixels, and ${count("leak")} that it must not read.`);
  };
  const pick = (p) => { place = p; draw(); };
  pointing(canvas, () => [SIZE, SIZE], (_, [x, y]) => pick(Math.floor(y) * SIZE + Math.floor(x)), pick, pick);
  draw();
  return draw;
}

function fields() {
  for (const [name, depths] of Object.entries(FIELDS)) {
    const child = (parent, tag) => parent.appendChild(document.createElement(tag)), proved = depths.map(unpacked);
    const figure = child($("fields"), "figure"), canvas = child(figure, "canvas"), text = child(figure, "figcaption");
    Object.assign(canvas, { tabIndex: 0, role: "application", ariaLabel: name });
    const reads = (place) => proved[$("depth").value - 1].slice(place * SIZE ** 2, (place + 1) * SIZE ** 2);
    $("depth").addEventListener("input", mapOf(canvas, reads, (count) => { text.textContent = `${name}: ${count}`; }));
  }
}

const TAPS = Array.from({ length: 25 }, (_, k) => [Math.floor(k / 5) - 2, (k % 5) - 2]), CENTRE = 12;
const CAUSAL = TAPS.map((_, k) => k < CENTRE);
function leaks() {
  const digits = [DIGITS.train, DIGITS.test].map((part) => part.map(unpacked));
  const coins = digits.map((part) => part.map(() => randomly(64).map((uniform) => +(uniform < 0.5))));
  const uniforms = Array.from({ length: 9 }, () => randomly(64));
  let open = CAUSAL, timer;
  const taps = () => TAPS.filter((_, k) => open[k]);
  const buttons = TAPS.map(([dr, dc], k) => {
    const button = $("taps").appendChild(document.createElement("button"));
    button.ariaLabel = k === CENTRE ? "centre" : `row ${dr}, column ${dc} from the centre`;
    button.onclick = () => draw(open.map((is, j) => is !== (j === k)));
    return button;
  });
  const redraw = mapOf($("read"), (place) => readThrough(taps(), Number($("further").value), SIZE, place),
    (count) => { $("count").textContent = count; });
  const fit = () => {
    const [known, unseen] = $("data").value === "digits" ? digits : coins, weights = fitted(known, taps(), 8);
    const drawn = uniforms.map((chances) => drawnWith(weights, taps(), 8, chances));
    paint($("drawn"), 26, 26, (p) => {  // 3 x 3 pictures of 8 x 8 pixels, and a line between them
      const r = Math.floor(p / 26), c = p % 26, picture = drawn[Math.floor(r / 9) * 3 + Math.floor(c / 9)];
      return r % 9 === 8 || c % 9 === 8 ? ROLES.future : shade(picture[(r % 9) * 8 + (c % 9)]);
    });
    const score = `${bitsOf(weights, unseen, taps(), 8).toFixed(3)} bits per pixel on pictures that it was not fitted to.`;
    $("verdict").textContent = score + (open.some((is, k) => is && k >= CENTRE)
      ? " A leak: no likelihood, since it read what is not drawn yet. While it draws, those pixels are still blank."
      : " Causal: the score is a likelihood, and the pictures are drawn from just what was fitted.");
  };
  const draw = (now) => {
    open = now;
    buttons.forEach((button, k) => {
      const role = open[k] ? (k < CENTRE ? "past" : "leak") : k === CENTRE ? "this pixel" : "future";
      Object.assign(button, { ariaPressed: open[k] }).style.background = ROLES[role];
    });
    redraw();
    clearTimeout(timer);
    timer = setTimeout(fit, 50);
  };
  $("causal").onclick = () => draw(CAUSAL);
  $("data").onchange = () => draw(open);
  $("further").addEventListener("input", redraw);
  draw(CAUSAL);
}

for (const part of [fields, leaks, completion]) part();
