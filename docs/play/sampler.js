// Reads a model file of minipixel and draws from it, one pixel at a time. There is no page in here: Node runs it, too.
"use strict";

// --- the file: eight bytes with the length of the header, the header in JSON, then the numbers
const BYTES = { F16: 2, F32: 4 };

// An ArrayBuffer -> {config, tensors}: name -> {shape, data}. Every size is compared with the file before it is used.
function readModel(buffer) {
  const size = buffer.byteLength, view = new DataView(buffer), wanted = "wanted a model written by model.save";
  const length = size < 8 ? 0 : Number(view.getBigUint64(0, true));
  if (length < 2 || length > size - 8) throw Error(`file: got ${size} bytes that are no safetensors file, ${wanted}`);
  let header, config;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, length)));
    config = JSON.parse(header.__metadata__.minipixel).config;
  } catch {
    throw Error(`file: got a header that minipixel has not written, ${wanted}`);
  }
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__"), tensors = {};
  const whole = (numbers) => Array.isArray(numbers) && numbers.every((n) => Number.isSafeInteger(n) && n >= 0);
  const odd = entries.find(([, t]) => !Object.hasOwn(BYTES, t?.dtype) || !whole(t.shape) || !whole(t.data_offsets));
  if (odd) throw Error(`${odd[0]}: got ${JSON.stringify(odd[1])}, wanted F16 or F32, a shape and two places`);
  entries.sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
  let end = 0;
  for (const [name, { dtype, shape, data_offsets }] of entries) {
    const start = 8 + length + end, count = shape.reduce((product, n) => product * n, 1), bytes = count * BYTES[dtype];
    const fits = data_offsets.join() === [end, end + bytes].join() && start + bytes <= size;
    if (!fits) throw Error(`${name}: got bytes ${data_offsets.join("-")}, wanted ${bytes} from ${end} on, in the file`);
    const read = (n) => (dtype === "F16" ? half(view.getUint16(start + 2 * n, true)) : view.getFloat32(start + 4 * n, true));
    tensors[name] = { shape, data: Float64Array.from({ length: count }, (_, n) => read(n)) };
    if (!tensors[name].data.every(Number.isFinite)) throw Error(`${name}: got NaN or infinite weights, wanted finite ones`);
    end += bytes;
  }
  if (8 + length + end !== size) throw Error(`file: got ${size} bytes, wanted ${8 + length + end}`);
  return { config, tensors };
}

function half(bits) {  // 1 of sign, 5 of exponent, 10 of mantissa
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, rest = (bits & 1023) / 1024;
  if (exponent === 31) return rest ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + rest) : 2 ** -14 * rest);
}

// --- layers: each works at one pixel, and reads maps, which keep what was computed at the pixels before
// A map of K numbers per pixel; outside of it there is nothing, null, which counts as zeros.
const grid = (H, W, K) => Array.from({ length: H }, () => Array.from({ length: W }, () => new Float64Array(K)));
const at = (map, r, c) => map[r]?.[c] ?? null;

// y += x W, and y, with W (x.length, y.length) from number `from` of `weight` on.
function addProduct(y, x, weight, from = 0) {
  const K = y.length;
  for (let i = 0; x && i < x.length; i++, from += K) {
    if (x[i] !== 0) for (let k = 0; k < K; k++) y[k] += x[i] * weight[from + k];
  }
  return y;
}

const add = (x, y) => x.map((value, k) => value + y[k]);
const relu = (x) => x.map((value) => Math.max(value, 0));
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const gate = (x) => x.slice(0, x.length / 2).map((value, k) => Math.tanh(value) * sigmoid(x[x.length / 2 + k]));

// The taps that mask "A" opens, those before the centre, or "B", that one, too; of `rows`, whole rows. Each is [dr, dc, n]:
// its place from the centre, and its number in the kernel.
function openTaps(kh, kw, kind, rows = false) {
  const taps = Array.from({ length: kh * kw }, (_, n) => [Math.floor(n / kw) - (kh >> 1), (n % kw) - (kw >> 1), n]);
  return taps.filter(([dr, dc]) => (rows ? dr : dr * kw + dc) < (kind === "B" ? 1 : 0));
}

// The tensors of a file as layers: functions that make new numbers for one pixel.
function layersOf(tensors) {
  const tensor = (name, ...shape) => {
    const { shape: got, data } = tensors[name] ?? { shape: "nothing" };
    if (got.toString() !== shape.toString()) throw Error(`${name}: got shape (${got}), wanted (${shape})`);
    return data;
  };
  const conv = (name, kh, kw, K_in, K_out, kind, { rows = false, dilation = 1 } = {}) => {
    const weight = tensor(`${name}.weight`, kh, kw, K_in, K_out), bias = tensor(`${name}.bias`, K_out);
    const taps = openTaps(kh, kw, kind, rows);
    return (map, r, c) => {
      const y = bias.slice();
      for (const [dr, dc, n] of taps) addProduct(y, at(map, r + dilation * dr, c + dilation * dc), weight, n * K_in * K_out);
      return y;
    };
  };
  const linear = (name, K_in, K_out) => {
    const weight = tensor(`${name}.weight`, K_in, K_out), bias = tensor(`${name}.bias`, K_out);
    return (x) => addProduct(bias.slice(), x, weight);
  };
  const top = (...widths) => {  // three times a rectifier and a 1x1 layer
    const layers = [0, 1, 2].map((n) => linear(`top.layers.${n}`, widths[n], widths[n + 1]));
    return (x) => layers.reduce((y, layer) => layer(relu(y)), x);
  };
  return { tensor, conv, linear, top };
}

// --- the models: beginRow(r) computes what may know all rows above r, features(r, c) what the top reads there
const ARCHITECTURES = {
  pixelcnn({ hidden: h, blocks: depth, kernel: k, first_kernel: n }, layers, image, H, W) {
    const stem = layers.conv("stem", n, n, 1, 2 * h, "A");
    const blocks = Array.from({ length: depth }, (_, b) => ({
      narrow: layers.linear(`blocks.${b}.narrow`, 2 * h, h), widen: layers.linear(`blocks.${b}.widen`, h, 2 * h),
      look: layers.conv(`blocks.${b}.look`, k, k, h, h, "B"), seen: grid(H, W, h),
    }));
    const features = (r, c) => blocks.reduce((x, { narrow, look, widen, seen }) => {
      at(seen, r, c).set(relu(narrow(relu(x))));
      return add(x, widen(relu(look(seen, r, c))));
    }, stem(image, r, c));
    return { beginRow() {}, features };
  },

  gated({ filters: p, layers: depth, kernel, first_kernel, dilations }, layers, image, H, W) {
    const stacks = Array.from({ length: depth }, (_, l) => {
      const [n, K_in, kind] = l ? [kernel, p, "B"] : [first_kernel, 1, "A"], name = `layers.${l}`;
      const dilation = l ? dilations[(l - 1) % dilations.length] : 1;
      return {
        vertical: layers.conv(`${name}.vertical`, n, n, K_in, 2 * p, kind, { rows: true, dilation }),
        horizontal: layers.conv(`${name}.horizontal`, 1, n, K_in, 2 * p, kind, { dilation }),
        link: layers.linear(`${name}.link`, 2 * p, 2 * p), out: layers.linear(`${name}.out`, p, p),
        v: l ? grid(H, W, p) : image, h: l ? grid(H, W, p) : image,  // what the two convolutions read
        above: grid(H, W, 2 * p),  // of the vertical stack, before its gate
      };
    });
    const beginRow = (r) => stacks.forEach(({ vertical, above, v }, l) => {
      for (let c = 0; l && c < W; c++) at(v, r, c).set(gate(at(stacks[l - 1].above, r, c)));
      for (let c = 0; c < W; c++) at(above, r, c).set(vertical(v, r, c));
    });
    const features = (r, c) => stacks.reduce((x, { horizontal, link, out, above, h }, l) => {
      if (l) at(h, r, c).set(x);
      const y = out(gate(add(horizontal(h, r, c), link(at(above, r, c)))));
      return l ? add(x, y) : y;
    }, null);
    return { beginRow, features };
  },

  "diagonal-bilstm"({ hidden: h, layers: depth, phantom_column }, layers, image, H, W) {
    const wide = W + (phantom_column ? 1 : 0);  // one column further, where the scans from the right begin
    const stem = layers.conv("stem", 7, 7, 1, 2 * h, "A");
    const scan = (name, beside, x) => {  // an LSTM that reads the states above and beside its own
      const see = layers.linear(`${name}.see`, 2 * h, 4 * h), weight = layers.tensor(`${name}.weight`, 2, h, 4 * h);
      const states = grid(H, wide, h), memory = grid(H, wide, h);
      const step = (r, c) => {
        const z = see(at(x, r, c)), before = at(memory, r, c + beside), kept = at(memory, r, c);  // z: gates o, f, i, g
        addProduct(z, at(states, r - 1, c), weight);
        addProduct(z, at(states, r, c + beside), weight, 4 * h * h);
        const old = (k) => (before ? sigmoid(z[h + k]) * before[k] : 0);
        kept.set(kept.map((_, k) => old(k) + sigmoid(z[2 * h + k]) * Math.tanh(z[3 * h + k])));
        at(states, r, c).set(kept.map((value, k) => sigmoid(z[k]) * Math.tanh(value)));
      };
      return { states, step };
    };
    const stack = Array.from({ length: depth }, (_, l) => {
      const x = grid(H, wide, 2 * h), widen = layers.linear(`widen.${l}`, h, 2 * h);
      return { x, widen, left: scan(`layers.${l}.left`, -1, x), right: scan(`layers.${l}.right`, 1, x) };
    });
    const features = (r, c) => stack.reduce((y, { x, widen, left, right }) => {
      at(x, r, c).set(y);
      left.step(r, c);
      const beside = at(left.states, r, c), above = at(right.states, r - 1, c);
      return add(y, widen(above ? add(beside, above) : beside));
    }, stem(image, r, c));
    const beginRow = (r) => {  // the scans from the right along the row above, which is known by now
      if (r && phantom_column) features(r - 1, W);
      for (const { right } of stack) for (let c = wide - 1; r && c >= 0; c--) right.step(r - 1, c);
    };
    return { beginRow, features };
  },
};

// A file that was read -> a model that can begin pictures; an error says what is not drawn from here.
function modelOf({ config, tensors }) {
  const { model, image_shape: [H, W, C], levels: Q, head } = config;
  const limits = {
    model: [model, ...Object.keys(ARCHITECTURES)], channels: [C, 1], head: [head, "bernoulli", "categorical"],
    inputs: [config.inputs, "scaled"], "at most 4096 pixels": [H * W <= 4096, true], skip: [!!config.skip, false],
    learned_state: [!!config.learned_state, false], activation: [config.activation ?? "relu", "relu"],
    condition: [config.num_classes ?? config.condition_shape ?? "none", "none"],
  };
  for (const [name, [got, ...wanted]] of Object.entries(limits)) {
    if (!wanted.includes(got)) throw Error(`${name}: got ${got}, wanted ${wanted.join(" or ")}, to be drawn here`);
  }
  const layers = layersOf(tensors), width = config.head_width, P = head === "bernoulli" ? 1 : Q;
  const top = layers.top(model === "gated" ? config.filters : 2 * config.hidden, width, width, P);
  const begin = (image = grid(H, W, 1)) => ({ image, top, ...ARCHITECTURES[model](config, layers, image, H, W) });
  begin();  // a tensor that is missing, or of another shape, is named now
  return { H, W, Q, head, begin };
}

// --- drawing
// The probabilities of all levels, from a pixel's parameters. At temperature 0 the likeliest level has them all.
function distribution(head, parameters, temperature) {
  const logits = head === "bernoulli" ? [0, parameters[0]] : Array.from(parameters), highest = Math.max(...logits);
  const likeliest = logits.findIndex((logit) => logit >= highest - 1e-12);  // TIE of minipixel/heads/base.py
  const weights = logits.map((logit, k) => (temperature ? Math.exp((logit - highest) / temperature) : +(k === likeliest)));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

// The level whose slice of the cumulative distribution holds the uniform.
function levelAt(probabilities, uniform) {
  let edge = 0;
  return probabilities.slice(0, -1).filter((p) => (edge += p) <= uniform).length;
}

// A picture on its way: of its `levels`, H * W numbers, the first `known` stay, the others are drawn, each by its own
// uniform. `step()` goes one pixel further; `said` has what the model said at each pixel so far.
class Picture {
  constructor(model, levels, known, uniforms, temperature) {
    Object.assign(this, { model, levels: Uint16Array.from(levels), known, uniforms, temperature, place: 0, said: [] });
    this.net = model.begin();
  }

  get done() { return this.place === this.levels.length; }

  step() {
    const { W, Q, head } = this.model, place = this.place++, r = Math.floor(place / W), c = place % W;
    if (c === 0) this.net.beginRow(r);
    this.said.push(distribution(head, this.net.top(this.net.features(r, c)), this.temperature));
    if (place >= this.known) this.levels[place] = levelAt(this.said[place], this.uniforms[place]);
    at(this.net.image, r, c)[0] = (2 * this.levels[place]) / (Q - 1) - 1;
  }
}
