"use strict";
// What a single value of a network is made of, and which part of the image and of the layers between it sees.
//
// Every shape is taken as rows, columns and channels: a sequence has one row, a vector one position. Positions may be
// given without the axes that a shape lacks ([x, c], [c]), and are answered with all three ([y, x, c]).
function makeUnits(network) {
  const { layers, program } = network;
  const imageShape = [program.height, program.width, program.channels];

  const planes = (shape) => {
    const [channels, columns, ...rows] = shape.slice().reverse();
    return [rows.reduce((a, b) => a * b, 1), columns === undefined ? 1 : columns, channels];
  };
  // Of -1, the image's; a page for images of any size learns it from the first layer, which has been given one.
  const shapeOf = (index) => planes(index < 0 ? first() : layers[index].shape);
  const first = () => {
    const reader = layers.find(({ inputs }) => inputs.includes(-1));
    return reader ? reader.from[reader.inputs.indexOf(-1)] : imageShape;
  };
  const whole = (at) => [0, 0, 0].concat(at).slice(-3);
  const flat = ([, columns, channels], [y, x, c]) => (y * columns + x) * channels + c;
  const unflat = ([, columns, channels], i) => {
    const position = Math.floor(i / channels);
    return [Math.floor(position / columns), position % columns, i % channels];
  };
  const inside = ([rows, columns], y, x) => y >= 0 && y < rows && x >= 0 && x < columns;
  const valuesOf = (trace, index) => (index < 0 ? trace.input : trace.outputs[index]);

  // One value of a source as a term; null for `at` stands for padding.
  function term(trace, source, at, weight) {
    const input = at ? valuesOf(trace, source)[flat(shapeOf(source), at)] : 0;
    return { source, at, input, weight, product: input * weight };
  }

  const total = (terms) => terms.reduce((sum, { product }) => sum + product, 0);

  // Returns the taps of a window over the input: [y, x] of each, row by row, whether it is inside or padding.
  function taps({ size, strides, dilation, margin }, row, column) {
    const found = [];
    for (let down = 0; down < size[0]; down++) {
      for (let across = 0; across < size[1]; across++) {
        const y = row * strides[0] - margin[0] + down * dilation[0];
        const x = column * strides[1] - margin[1] + across * dilation[1];
        found.push({ tap: down * size[1] + across, y, x });
      }
    }
    return found;
  }

  function windowOf(layer, row, column, channels) {
    return {
      source: layer.inputs[0],
      top: row * layer.strides[0] - layer.margin[0],
      left: column * layer.strides[1] - layer.margin[1],
      height: (layer.size[0] - 1) * layer.dilation[0] + 1,
      width: (layer.size[1] - 1) * layer.dilation[1] + 1,
      size: layer.size,
      dilation: layer.dilation,
      channels,
      winner: null,
    };
  }

  // The kernel that makes one channel of a layer's output: where each number stands in the layer's weights, by tap and
  // input channel of its group. A separable convolution's is the product of its two: no number of it stands anywhere.
  function kernelOf(index, channel) {
    const layer = layers[index];
    const { kind, size = [1, 1], weights } = layer;
    const outputs = planes(layer.shape)[2];
    const inputs = shapeOf(layer.inputs[0])[2];
    const one = (name, channels, place) => {
      const numbers = size[0] * size[1] * channels.length;
      const indexes = Int32Array.from({ length: numbers }, (_, i) => place(Math.floor(i / channels.length), i));
      const values = Float32Array.from(indexes, (i) => weights[name][i]);
      return { name, height: size[0], width: size[1], channels, indexes, values };
    };
    const range = (start, number) => Array.from({ length: number }, (_, i) => start + i);
    if (kind === "conv" || kind === "transposed") {
      const each = inputs / (layer.groups || 1);
      const group = Math.floor((channel * (layer.groups || 1)) / outputs);
      return one("kernel", range(group * each, each), (_, i) => i * outputs + channel);
    }
    if (kind === "depthwise") {
      return one("kernel", [Math.floor(channel / layer.multiplier)], (tap) => tap * outputs + channel);
    }
    if (kind === "dense") return one("kernel", range(0, inputs), (_, i) => i * outputs + channel);
    if (kind !== "separable") return null;
    const { multiplier } = layer;
    const wide = inputs * multiplier;
    const { depthwise_kernel: depth, pointwise_kernel: point } = weights;
    const values = Float64Array.from({ length: size[0] * size[1] * inputs }, (_, i) => {
      let sum = 0;
      for (let m = 0; m < multiplier; m++) {
        const place = (i % inputs) * multiplier + m;
        sum += depth[Math.floor(i / inputs) * wide + place] * point[place * outputs + channel];
      }
      return sum;
    });
    return { name: null, height: size[0], width: size[1], channels: range(0, inputs), indexes: null, values };
  }

  function convolution(trace, layer, index, [row, column, channel]) {
    const kernel = kernelOf(index, channel);
    const [source] = layer.inputs;
    const shape = shapeOf(source);
    const { channels } = kernel;
    const terms = [];
    for (const { tap, y, x } of taps(layer, row, column)) {
      channels.forEach((from, i) => {
        const at = inside(shape, y, x) ? [y, x, from] : null;
        terms.push(term(trace, source, at, kernel.values[tap * channels.length + i]));
      });
    }
    const window = windowOf(layer, row, column, [channels[0], channels[channels.length - 1] + 1]);
    const made = { kind: "window", terms, window, kernel };
    return layer.kind === "separable" ? { ...made, stages: stages(trace, layer, [row, column, channel]) } : made;
  }

  // The two steps of a separable convolution: every channel's own sum, then their weighted sum.
  function stages(trace, layer, [row, column, channel]) {
    const [source] = layer.inputs;
    const shape = shapeOf(source);
    const wide = shape[2] * layer.multiplier;
    const outputs = planes(layer.shape)[2];
    const { depthwise_kernel: depth, pointwise_kernel: point } = layer.weights;
    return Array.from({ length: wide }, (_, place) => {
      const from = Math.floor(place / layer.multiplier);
      const terms = taps(layer, row, column).map(({ tap, y, x }) =>
        term(trace, source, inside(shape, y, x) ? [y, x, from] : null, depth[tap * wide + place]),
      );
      const sum = total(terms);
      const weight = point[place * outputs + channel];
      return { channel: place, terms, sum, weight, product: sum * weight };
    });
  }

  // Of a transposed convolution: the inputs whose patches reach this output, each with the weight it writes there.
  function transposed(trace, layer, index, [row, column, channel]) {
    const kernel = kernelOf(index, channel);
    const [source] = layer.inputs;
    const [rows, columns, channels] = shapeOf(source);
    const reaching = (place, axis, length) => {
      const found = [];
      for (let tap = layer.size[axis] - 1; tap >= 0; tap--) {
        const from = (place + layer.margin[axis] - tap * layer.dilation[axis]) / layer.strides[axis];
        if (Number.isInteger(from)) found.push({ from, tap, there: from >= 0 && from < length });
      }
      return found;
    };
    const down = reaching(row, 0, rows);
    const across = reaching(column, 1, columns);
    const terms = [];
    for (const y of down) {
      for (const x of across) {
        const tap = y.tap * layer.size[1] + x.tap;
        for (let c = 0; c < channels; c++) {
          const at = y.there && x.there ? [y.from, x.from, c] : null;
          terms.push({ ...term(trace, source, at, kernel.values[tap * channels + c]), tap });
        }
      }
    }
    const window = {
      source,
      top: down.length ? down[0].from : 0,
      left: across.length ? across[0].from : 0,
      height: down.length ? down[down.length - 1].from - down[0].from + 1 : 0,
      width: across.length ? across[across.length - 1].from - across[0].from + 1 : 0,
      size: [down.length, across.length],
      dilation: [1, 1],
      channels: [0, channels],
      winner: null,
    };
    return { kind: "window", terms, window, kernel };
  }

  function dense(trace, layer, index, [row, column, channel]) {
    const kernel = kernelOf(index, channel);
    const [source] = layer.inputs;
    const terms = Array.from(kernel.values, (weight, c) => term(trace, source, [row, column, c], weight));
    return { kind: "dense", terms, kernel };
  }

  // Of pooling: in the padding nothing is read, and a mean counts only what is inside.
  function pooled(trace, layer, positions, channel, window) {
    const [source] = layer.inputs;
    const shape = shapeOf(source);
    const places = positions.map(({ y, x }) => (inside(shape, y, x) ? [y, x, channel] : null));
    const number = places.filter(Boolean).length;
    const terms = places.map((at) => term(trace, source, at, at ? 1 / number : 0));
    for (const one of terms) if (!one.at) one.input = null;
    if (!layer.largest) return { kind: "pool", terms, window, formula: { key: "mean", numbers: { number } } };
    let best = null;
    for (const one of terms) if (one.at && (!best || one.input > best.input)) best = one;
    for (const one of terms) {
      one.weight = one === best ? 1 : 0;
      one.product = one === best ? one.input : 0;
    }
    const winner = best && best.at.slice(0, 2);
    return { kind: "pool", terms, window: { ...window, winner }, formula: { key: "max", numbers: { number } } };
  }

  function pool(trace, layer, index, [row, column, channel]) {
    const window = windowOf(layer, row, column, [channel, channel + 1]);
    return pooled(trace, layer, taps(layer, row, column), channel, window);
  }

  function poolAll(trace, layer, index, [, , channel]) {
    const [rows, columns] = shapeOf(layer.inputs[0]);
    const all = { size: [rows, columns], strides: [1, 1], dilation: [1, 1], margin: [0, 0], inputs: layer.inputs };
    return pooled(trace, layer, taps(all, 0, 0), channel, windowOf(all, 0, 0, [channel, channel + 1]));
  }

  // (x − mean) / √(variance + ε) · γ + β, as one weight and one bias.
  function normalized(trace, layer, at, { mean, variance, gamma, beta }, set) {
    const weight = gamma / Math.sqrt(variance + layer.epsilon);
    const terms = [term(trace, layer.inputs[0], at, weight)];
    const numbers = { x: terms[0].input, mean, variance, epsilon: layer.epsilon, gamma, beta };
    const bias = beta - mean * weight;
    return { kind: "normalization", terms, bias, formula: { key: "normalization", numbers }, set };
  }

  function batchNorm(trace, layer, index, at) {
    const { gamma, beta, moving_mean: mean, moving_variance: variance } = layer.weights;
    const c = at[2];
    const own = { mean: mean[c], variance: variance[c], gamma: gamma ? gamma[c] : 1, beta: beta ? beta[c] : 0 };
    return normalized(trace, layer, at, own, { over: "training" });
  }

  // Mean and variance are those of the image itself: of a position's channels, or of a group of channels everywhere.
  function learnedNorm(trace, layer, index, at) {
    const [source] = layer.inputs;
    const values = valuesOf(trace, source);
    const shape = planes(layer.shape);
    const [channels, c] = [shape[2], at[2]];
    const group = Math.floor((c * layer.groups) / channels);
    const position = flat(shape, [at[0], at[1], 0]);
    const members = [];
    if (layer.kind === "layerNorm") for (let i = 0; i < channels; i++) members.push(values[position + i]);
    else {
      for (let i = 0; i < values.length; i++) {
        if (Math.floor(((i % channels) * layer.groups) / channels) === group) members.push(values[i]);
      }
    }
    const mean = members.reduce((sum, value) => sum + value / members.length, 0);
    const variance = members.reduce((sum, value) => sum + (value - mean) ** 2 / members.length, 0);
    const { gamma, beta } = layer.weights;
    const own = { mean, variance, gamma: gamma ? gamma[c] : 1, beta: beta ? beta[c] : 0 };
    const over = layer.kind === "layerNorm" ? "channels" : "image";
    const size = channels / layer.groups;
    const range = over === "channels" ? [0, channels] : [group * size, (group + 1) * size];
    return normalized(trace, layer, at, own, { over, channels: range, number: members.length });
  }

  function affine(trace, layer, index, at) {
    const { scale, shift } = layer.weights;
    const terms = [term(trace, layer.inputs[0], at, scale[at[2] % scale.length])];
    const bias = shift[at[2] % shift.length];
    const numbers = { x: terms[0].input, scale: terms[0].weight, shift: bias };
    return { kind: "normalization", terms, bias, formula: { key: "affine", numbers } };
  }

  // x / (bias + α · Σ x²)^β: the terms are the squares of the neighbouring channels, each with the weight α · x.
  function localResponses(trace, layer, index, [row, column, channel]) {
    const [source] = layer.inputs;
    const first = Math.max(channel - layer.depth_radius, 0);
    const last = Math.min(channel + layer.depth_radius, planes(layer.shape)[2] - 1);
    const terms = [];
    for (let c = first; c <= last; c++) {
      const { input } = term(trace, source, [row, column, c], 1);
      terms.push(term(trace, source, [row, column, c], layer.alpha * input));
    }
    const x = terms[channel - first].input;
    const numbers = { x, bias: layer.bias, alpha: layer.alpha, beta: layer.beta, first, last };
    const base = layer.bias + total(terms);
    return { kind: "lrn", terms, bias: layer.bias, after: x / base ** layer.beta, formula: { key: "lrn", numbers } };
  }

  function activation(trace, layer, index, at) {
    const [source] = layer.inputs;
    const over = layer.activation === "softmax" || layer.activation === "log_softmax";
    return { kind: over ? "softmax" : "activation", terms: [term(trace, source, at, 1)] };
  }

  function rectify(trace, layer, index, at) {
    const terms = [term(trace, layer.inputs[0], at, 1)];
    const { threshold, negative_slope: slope, max_value: most } = layer;
    const x = terms[0].input;
    const rising = x >= threshold ? x : slope * (x - threshold);
    const after = most === null ? rising : Math.min(rising, most);
    const numbers = { x, threshold, slope, most };
    return { kind: "activation", activation: "relu", terms, before: x, after, formula: { key: "rectify", numbers } };
  }

  function combine(trace, layer, index, at) {
    const { how } = layer;
    const number = layer.inputs.length;
    // An input with an axis of length 1 is read there for every position.
    const terms = layer.inputs.map((source, i) => {
      const shape = planes(layer.from[i]);
      const weight = how === "Average" ? 1 / number : how === "Subtract" && i > 0 ? -1 : 1;
      return term(trace, source, at.map((place, axis) => (shape[axis] === 1 ? 0 : place)), weight);
    });
    const formula = { key: how.toLowerCase(), numbers: { number } };
    if (how === "Multiply") {
      return { kind: "multiply", terms, after: terms.reduce((all, { input }) => all * input, 1), formula };
    }
    if (how !== "Maximum" && how !== "Minimum") return { kind: "add", terms, formula };
    const better = how === "Maximum" ? (a, b) => a > b : (a, b) => a < b;
    const best = terms.reduce((found, one) => (better(one.input, found.input) ? one : found));
    for (const one of terms) {
      one.weight = one === best ? 1 : 0;
      one.product = one === best ? one.input : 0;
    }
    return { kind: how.toLowerCase(), terms, winner: terms.indexOf(best), formula };
  }

  // Which input of a Concatenate a channel comes from, and the first channel of that.
  function partOf(layer, channel) {
    let start = 0;
    for (let i = 0; ; i++) {
      const own = planes(layer.from[i])[2];
      if (channel < start + own) return { i, start };
      start += own;
    }
  }

  function concatenate(trace, layer, index, [row, column, channel]) {
    const { i, start } = partOf(layer, channel);
    const terms = [term(trace, layer.inputs[i], [row, column, channel - start], 1)];
    return { kind: "concatenate", terms, formula: { key: "concatenate", numbers: { part: i, first: start } } };
  }

  // Where the value of a layer stands that only moves values; null where it writes 0.
  function origin(layer, [row, column, channel]) {
    const shape = planes(layer.shape);
    const from = planes(layer.from[0]);
    const { kind } = layer;
    if (kind === "same") return unflat(from, flat(shape, [row, column, channel]));
    if (kind === "permute") {
      const lengths = layer.shape;
      let rest = flat(shape, [row, column, channel]);
      const there = [];
      for (let axis = lengths.length - 1; axis >= 0; axis--) {
        there[layer.dims[axis] - 1] = rest % lengths[axis];
        rest = Math.floor(rest / lengths[axis]);
      }
      return unflat(from, there.reduce((place, at, axis) => place * layer.from[0][axis] + at, 0));
    }
    if (kind === "padChannels") {
      const c = channel - layer.padding[0];
      return c < 0 || c >= from[2] ? null : [row, column, c];
    }
    const [y, x] = [row, column].map((place, axis) => copiedFrom(layer, axis, place));
    return inside(from, y, x) ? [y, x, channel] : null;
  }

  // The position along one axis that a layer copies from.
  function copiedFrom(layer, axis, place) {
    if (layer.kind === "shift") return place - layer.by[axis];
    if (layer.kind === "enlarge") return Math.floor(place / layer.by[axis]);
    const [length, newLength] = [layer.from[0][axis], layer.shape[axis]];
    return Math.min(Math.floor(((2 * place + 1) * length) / (2 * newLength)), length - 1);
  }

  const copy = (trace, layer, index, at) => ({
    kind: "copy",
    terms: [term(trace, layer.inputs[0], origin(layer, at), 1)],
    formula: { key: layer.kind, numbers: {} },
  });

  // First and last position that a point between pixels is interpolated from, which may lie outside.
  function between(layer, axis, place) {
    const [length, newLength] = [layer.from[0][axis], layer.shape[axis]];
    const point = (2 * place + 1) * length - newLength;
    return { before: Math.floor(point / (2 * newLength)), after: Math.ceil(point / (2 * newLength)) };
  }

  function interpolate(trace, layer, index, [row, column, channel]) {
    const ends = [row, column].map((place, axis) => {
      const [before, after, way] = network.neighbours(layer.from[0][axis], layer.shape[axis])[place];
      const both = [
        { place: before, weight: 1 - way },
        { place: after, weight: way },
      ];
      return before === after ? [{ place: before, weight: 1 }] : both;
    });
    const terms = ends[0].flatMap((y) =>
      ends[1].map((x) => term(trace, layer.inputs[0], [y.place, x.place, channel], y.weight * x.weight)),
    );
    return { kind: "interpolate", terms };
  }

  const KINDS = {
    conv: convolution,
    depthwise: convolution,
    separable: convolution,
    transposed,
    dense,
    pool,
    poolAll,
    affine,
    batchNorm,
    layerNorm: learnedNorm,
    groupNorm: learnedNorm,
    localResponses,
    activation,
    rectify,
    combine,
    concatenate,
    interpolate,
    same: copy,
    permute: copy,
    padChannels: copy,
    shift: copy,
    enlarge: copy,
    pick: copy,
  };

  // Returns what one value of a layer's output is made of:
  // - `value`, the map's, and `after`, the same computed from the numbers given: activation(sum + bias) in most kinds,
  //   what the formula says in the others;
  // - `kind`: window, dense, pool, normalization, lrn, activation, softmax, add, multiply, maximum, minimum,
  //   concatenate, interpolate or copy;
  // - `terms`, each with the `source` layer (-1: the image), the place `at` there (null in the padding), the `input`,
  //   `weight` and `product`. Of a pooling the padding is read as nothing, so its `input` is null there;
  // - `sum` of the products, `bias` (null: there is none), `before` and the name of the `activation`; `siblings`: all
  //   channels before a softmax, which needs them all;
  // - `window`: what is read, unclipped, with the `winner` of a largest value; `kernel` as `kernel` returns it;
  // - `formula`: a key for a text, with the numbers in it: the kind, or mean, max (of a pool), affine, rectify, average,
  //   subtract, and of copies same, permute, padChannels, shift, enlarge, pick;
  // - `stages` of a separable convolution, `silenced` where the channel is switched off.
  function explain(trace, index, position) {
    const layer = layers[index];
    const at = whole(position);
    const shape = planes(layer.shape);
    const made = KINDS[layer.kind](trace, layer, index, at);
    const bias = made.bias === undefined ? biasOf(layer, at[2]) : made.bias;
    const sum = total(made.terms);
    const name = made.activation || layer.activation || "linear";
    const before = made.before === undefined ? sum + (bias || 0) : made.before;
    const over = name === "softmax" || name === "log_softmax";
    const row = flat(shape, [at[0], at[1], 0]);
    const siblings = over ? trace.before[index].slice(row, row + shape[2]) : null;
    const after = made.after === undefined ? activated(name, before, siblings) : made.after;
    return {
      window: null,
      kernel: null,
      formula: { key: made.kind, numbers: {} },
      ...made,
      layer: index,
      at,
      value: trace.outputs[index][flat(shape, at)],
      before,
      after: layer.silent.has(at[2]) ? 0 : after,
      silenced: layer.silent.has(at[2]),
      activation: name,
      siblings,
      sum,
      bias,
    };
  }

  const biasOf = ({ weights }, channel) => (weights.bias ? weights.bias[channel] : null);

  function activated(name, x, siblings) {
    if (!siblings) return network.activations[name](x);
    const largest = siblings.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = siblings.reduce((all, value) => all + Math.exp(value - largest), 0);
    return name === "softmax" ? Math.exp(x - largest) / sum : x - largest - Math.log(sum);
  }

  // From here on: the receptive field. An extent is [first row, last row, first column, last column, first channel,
  // last channel] of a layer, the rows and columns unclipped: the image is taken to go on in the padding. Branches count
  // together, from the first position seen to the last.

  // Returns the extent of an input (number `i`) that an extent of a layer's output reads; null where it reads nothing.
  function reads(layer, i, extent) {
    const from = planes(layer.from[i]);
    const own = planes(layer.shape);
    const over = layer.activation === "softmax" || layer.activation === "log_softmax";
    const written = over ? [...extent.slice(0, 4), 0, own[2] - 1] : extent;
    const moved = layer.kind === "permute" || (layer.kind === "same" && from.some((length, axis) => length !== own[axis]));
    if (moved) return rearranged(layer, own, written);
    const [low, high] = channelsRead(layer, i, from[2], written[4], written[5]);
    const [y, x] = [0, 1].map((axis) => positionsRead(layer, axis, from, own, written[2 * axis], written[2 * axis + 1]));
    const found = [...y, ...x, low, high];
    return y[0] <= y[1] && x[0] <= x[1] && low <= high ? found : null;
  }

  // First and last position along an axis.
  function positionsRead(layer, axis, from, own, low, high) {
    const { kind } = layer;
    if (layer.size) {
      const [stride, margin] = [layer.strides[axis], layer.margin[axis]];
      const reach = (layer.size[axis] - 1) * layer.dilation[axis];
      if (kind !== "transposed") return [low * stride - margin, high * stride - margin + reach];
      return [Math.ceil((low + margin - reach) / stride), Math.floor((high + margin) / stride)];
    }
    if (kind === "poolAll") return [0, from[axis] - 1];
    if (kind === "interpolate") return [between(layer, axis, low).before, between(layer, axis, high).after];
    if (["pick", "shift", "enlarge"].includes(kind)) {
      return [copiedFrom(layer, axis, low), copiedFrom(layer, axis, high)];
    }
    // The gate of a squeeze-and-excitation is read at its only position.
    return from[axis] === 1 && own[axis] > 1 ? [0, 0] : [low, high];
  }

  // First and last channel; the last lies before the first where none is read.
  function channelsRead(layer, i, channels, low, high) {
    const outputs = planes(layer.shape)[2];
    const { kind } = layer;
    if (kind === "conv" || kind === "groupNorm") {
      const group = (channel) => Math.floor((channel * layer.groups) / outputs);
      const each = channels / layer.groups;
      return [group(low) * each, (group(high) + 1) * each - 1];
    }
    if (kind === "depthwise") return [low, high].map((channel) => Math.floor(channel / layer.multiplier));
    if (["separable", "transposed", "dense", "layerNorm"].includes(kind)) return [0, channels - 1];
    if (kind === "localResponses") {
      return [Math.max(low - layer.depth_radius, 0), Math.min(high + layer.depth_radius, channels - 1)];
    }
    let start = kind === "padChannels" ? layer.padding[0] : 0;
    if (kind === "concatenate") for (let before = 0; before < i; before++) start += planes(layer.from[before])[2];
    if (kind === "combine" && channels === 1) return [0, 0];
    return [Math.max(low - start, 0), Math.min(high - start, channels - 1)];
  }

  // Flatten, Reshape and Permute: the hull of where the values come from.
  function rearranged(layer, own, [top, bottom, left, right, low, high]) {
    const found = [Infinity, -Infinity, Infinity, -Infinity, Infinity, -Infinity];
    for (let row = Math.max(top, 0); row <= Math.min(bottom, own[0] - 1); row++) {
      for (let column = Math.max(left, 0); column <= Math.min(right, own[1] - 1); column++) {
        for (let c = low; c <= high; c++) {
          origin(layer, [row, column, c]).forEach((place, axis) => {
            found[2 * axis] = Math.min(found[2 * axis], place);
            found[2 * axis + 1] = Math.max(found[2 * axis + 1], place);
          });
        }
      }
    }
    return found[0] <= found[1] ? found : null;
  }

  // Returns the receptive field of a position of a layer: its extent in the layer itself, in each layer that it depends
  // on, and in the image (layer -1), the deepest first. `top`, `left`, `height`, `width` are clipped to the map; `full`
  // is the same without clipping, with the padding; `padded` says that they differ; `channels` are the first that is
  // read and the one after the last. Statistics that a normalization takes from the whole image are left out, as in
  // `cnn summary`.
  //
  // Without a channel ([y, x]) it is that of all channels together, as there; with one ([y, x, c]) it is that of the
  // one value: behind Flatten and Concatenate less, as it comes from one place and one branch.
  function field(index, [y, x, c]) {
    const hull = (known, extent) => known.map((end, i) => (i % 2 ? Math.max(end, extent[i]) : Math.min(end, extent[i])));
    const channels = c === undefined ? [0, shapeOf(index)[2] - 1] : [c, c];
    const extents = new Map([[index, [y, y, x, x, ...channels]]]);
    for (let i = index; i >= 0; i--) {
      const extent = extents.get(i);
      if (!extent) continue;
      layers[i].inputs.forEach((source, number) => {
        const read = reads(layers[i], number, extent);
        if (read) extents.set(source, extents.has(source) ? hull(extents.get(source), read) : read);
      });
    }
    return Array.from(extents.keys())
      .sort((a, b) => b - a)
      .map((layer) => framed(layer, extents.get(layer)));
  }

  function framed(layer, [top, bottom, left, right, low, high]) {
    const [rows, columns] = shapeOf(layer);
    const own = [Math.max(top, 0), Math.min(bottom, rows - 1), Math.max(left, 0), Math.min(right, columns - 1)];
    const box = ([first, last, begin, end]) => ({
      top: first,
      left: begin,
      height: Math.max(last - first + 1, 0),
      width: Math.max(end - begin + 1, 0),
    });
    const full = [top, bottom, left, right];
    const padded = full.some((end, i) => end !== own[i]);
    return { layer, ...box(own), full: box(full), padded, channels: [low, high + 1] };
  }

  return { explain, field, kernel: kernelOf, shape: shapeOf };
}
