"use strict";
// The network in plain JavaScript: float32 values as in training, sums in double precision.
// `program` lists the layers with their shapes; `buffer` holds the weights one array after the other.
function makeNetwork(program, buffer) {
  const f = Math.fround;
  // `edited` holds, by weight, what stood there before a change; `silent` the channels that are switched off.
  const layers = program.layers.map((layer) => ({ ...layer, weights: {}, edited: {}, silent: new Set() }));
  setWeights(buffer);

  function erfc(x) {
    // Numerical Recipes' erfc by Chebyshev polynomials, relative error below 1.2e-7: far out, 1 − erf has no digit left.
    const z = Math.abs(x);
    const t = 1 / (1 + z / 2);
    const terms = [
      0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368,
      -1.26551223,
    ];
    const tail = t * Math.exp(-z * z + terms.reduce((sum, term) => sum * t + term, 0));
    return x >= 0 ? tail : 2 - tail;
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const elu = (x) => (x > 0 ? x : Math.expm1(x));
  const clip = (x, low, high) => Math.min(Math.max(x, low), high);
  const ACTIVATIONS = {
    celu: elu,
    elu,
    exponential: Math.exp,
    gelu: (x) => 0.5 * x * erfc(-x * Math.SQRT1_2),
    hard_sigmoid: (x) => clip(x / 6 + 0.5, 0, 1),
    hard_silu: (x) => x * clip(x / 6 + 0.5, 0, 1),
    hard_swish: (x) => x * clip(x / 6 + 0.5, 0, 1),
    hard_tanh: (x) => clip(x, -1, 1),
    leaky_relu: (x) => (x > 0 ? x : 0.2 * x),
    linear: (x) => x,
    log_sigmoid: (x) => -softplus(-x),
    mish: (x) => x * Math.tanh(softplus(x)),
    relu: (x) => (x > 0 ? x : 0),
    relu6: (x) => clip(x, 0, 6),
    selu: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
    sigmoid,
    silu: (x) => x * sigmoid(x),
    softplus,
    softsign: (x) => x / (1 + Math.abs(x)),
    swish: (x) => x * sigmoid(x),
    tanh: Math.tanh,
    tanh_shrink: (x) => x - Math.tanh(x),
  };

  function softmax(values, size) {
    const result = new Float32Array(values.length);
    for (let start = 0; start < values.length; start += size) {
      let largest = -Infinity;
      for (let i = 0; i < size; i++) largest = Math.max(largest, values[start + i]);
      let total = 0;
      for (let i = 0; i < size; i++) total += Math.exp(values[start + i] - largest);
      for (let i = 0; i < size; i++) result[start + i] = Math.exp(values[start + i] - largest) / total;
    }
    return result;
  }

  function logSoftmax(values, size) {
    const result = new Float32Array(values.length);
    for (let start = 0; start < values.length; start += size) {
      const total = -energyOf(values.subarray(start, start + size));
      for (let i = 0; i < size; i++) result[start + i] = values[start + i] - total;
    }
    return result;
  }

  function activated(values, name, channels) {
    if (!name || name === "linear") return values;
    if (name === "softmax") return softmax(values, channels);
    if (name === "log_softmax") return logSoftmax(values, channels);
    const activation = ACTIVATIONS[name];
    for (let i = 0; i < values.length; i++) values[i] = activation(values[i]);
    return values;
  }

  // Walks a window over an image: visit(output position, input position, tap) for every tap inside the image.
  function slide(layer, visit) {
    const [height, width] = layer.from[0];
    const [rows, columns] = layer.shape;
    const { size, strides, dilation, margin } = layer;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let down = 0; down < size[0]; down++) {
          const y = row * strides[0] - margin[0] + down * dilation[0];
          if (y < 0 || y >= height) continue;
          for (let across = 0; across < size[1]; across++) {
            const x = column * strides[1] - margin[1] + across * dilation[1];
            if (x < 0 || x >= width) continue;
            visit(row * columns + column, y * width + x, down * size[1] + across);
          }
        }
      }
    }
  }

  // Backwards: every position of the input writes a patch into the output.
  function transposed(layer, input) {
    const channels = layer.from[0][2];
    const filters = layer.shape[2];
    const { kernel, bias } = layer.weights;
    const sums = new Float64Array(layer.shape[0] * layer.shape[1] * filters);
    slide({ ...layer, from: [layer.shape], shape: layer.from[0] }, (from, to, tap) => {
      for (let channel = 0; channel < channels; channel++) {
        const value = input[from * channels + channel];
        if (value === 0) continue;
        const first = (tap * channels + channel) * filters;
        for (let i = 0; i < filters; i++) sums[to * filters + i] += value * kernel[first + i];
      }
    });
    return finished(layer, sums, bias);
  }

  // Of every patch only the values other than 0 are gathered: after a ReLU that is half of them. Eight filters at a
  // time then keep their sums in registers.
  function convolve(layer, input) {
    const [height, width, channels] = layer.from[0];
    const [rows, columns, filters] = layer.shape;
    const { size, strides, dilation, margin, groups } = layer;
    const each = channels / groups;
    const part = filters / groups;
    const sums = new Float64Array(rows * columns * filters);
    const values = new Float64Array(size[0] * size[1] * each);
    const places = new Int32Array(values.length);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let group = 0; group < groups; group++) {
          let number = 0;
          for (let down = 0; down < size[0]; down++) {
            const y = row * strides[0] - margin[0] + down * dilation[0];
            if (y < 0 || y >= height) continue;
            for (let across = 0; across < size[1]; across++) {
              const x = column * strides[1] - margin[1] + across * dilation[1];
              if (x < 0 || x >= width) continue;
              const from = (y * width + x) * channels + group * each;
              const tap = (down * size[1] + across) * each;
              for (let channel = 0; channel < each; channel++) {
                const value = input[from + channel];
                if (value === 0) continue;
                values[number] = value;
                places[number++] = (tap + channel) * filters + group * part;
              }
            }
          }
          const target = (row * columns + column) * filters + group * part;
          weigh(layer.weights.kernel, values, places, number, sums, target, part);
        }
      }
    }
    return finished(layer, sums, layer.weights.bias);
  }

  // Adds up values · weights for `units` units whose weights lie side by side.
  function weigh(kernel, values, places, number, sums, target, units) {
    let unit = 0;
    for (; unit + 8 <= units; unit += 8) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      let e = 0;
      let g = 0;
      let h = 0;
      let i = 0;
      for (let k = 0; k < number; k++) {
        const value = values[k];
        const place = places[k] + unit;
        a += value * kernel[place];
        b += value * kernel[place + 1];
        c += value * kernel[place + 2];
        d += value * kernel[place + 3];
        e += value * kernel[place + 4];
        g += value * kernel[place + 5];
        h += value * kernel[place + 6];
        i += value * kernel[place + 7];
      }
      const start = target + unit;
      sums[start] = a;
      sums[start + 1] = b;
      sums[start + 2] = c;
      sums[start + 3] = d;
      sums[start + 4] = e;
      sums[start + 5] = g;
      sums[start + 6] = h;
      sums[start + 7] = i;
    }
    for (; unit < units; unit++) {
      let sum = 0;
      for (let k = 0; k < number; k++) sum += values[k] * kernel[places[k] + unit];
      sums[target + unit] = sum;
    }
  }

  function finished(layer, sums, bias) {
    const filters = layer.shape[layer.shape.length - 1];
    const result = new Float32Array(sums.length);
    for (let start = 0; start < sums.length; start += filters) {
      for (let i = 0; i < filters; i++) result[start + i] = bias ? sums[start + i] + bias[i] : sums[start + i];
    }
    return result;
  }

  function depthwise(layer, input, kernel, multiplier) {
    const channels = layer.from[0][2];
    const [rows, columns] = layer.shape;
    const sums = new Float64Array(rows * columns * channels * multiplier);
    slide(layer, (to, from, tap) => {
      for (let channel = 0; channel < channels; channel++) {
        const value = input[from * channels + channel];
        for (let m = 0; m < multiplier; m++) {
          const place = channel * multiplier + m;
          sums[to * channels * multiplier + place] += value * kernel[tap * channels * multiplier + place];
        }
      }
    });
    return sums;
  }

  function dense(layer, input) {
    const { kernel, bias } = layer.weights;
    const inputs = layer.from[0][layer.from[0].length - 1];
    const units = layer.shape[layer.shape.length - 1];
    const sums = new Float64Array((input.length / inputs) * units);
    for (let row = 0; row < input.length / inputs; row++) {
      for (let i = 0; i < inputs; i++) {
        const value = input[row * inputs + i];
        if (value === 0) continue;
        for (let unit = 0; unit < units; unit++) sums[row * units + unit] += value * kernel[i * units + unit];
      }
    }
    return finished(layer, sums, bias);
  }

  function pool(layer, input) {
    const channels = layer.from[0][2];
    const number = layer.shape[0] * layer.shape[1];
    const { largest } = layer;
    const values = new Float64Array(number * channels).fill(largest ? -Infinity : 0);
    const counts = new Float64Array(number);
    slide(layer, (to, from) => {
      counts[to] += 1;
      const [target, start] = [to * channels, from * channels];
      for (let channel = 0; channel < channels; channel++) {
        const value = input[start + channel];
        if (!largest) values[target + channel] += value;
        // A value that is no number is passed on.
        else if (value > values[target + channel] || value !== value) values[target + channel] = value;
      }
    });
    const result = Float32Array.from(values);
    if (!largest) for (let i = 0; i < values.length; i++) result[i] = values[i] / counts[Math.floor(i / channels)];
    return result;
  }

  function poolAll(layer, input) {
    const channels = layer.shape[layer.shape.length - 1];
    const number = input.length / channels;
    const values = new Float64Array(channels).fill(layer.largest ? -Infinity : 0);
    for (let i = 0; i < input.length; i++) {
      const channel = i % channels;
      values[channel] = layer.largest ? Math.max(values[channel], input[i]) : values[channel] + input[i] / number;
    }
    return Float32Array.from(values);
  }

  // Values of one set are brought to mean 0 and variance 1; `setOf` says which set a value belongs to.
  function normalize(layer, input, numSets, setOf) {
    const channels = layer.shape[layer.shape.length - 1];
    const { gamma, beta } = layer.weights;
    const means = new Float64Array(numSets);
    const squares = new Float64Array(numSets);
    const number = input.length / numSets;
    const result = new Float32Array(input.length);
    for (let i = 0; i < input.length; i++) means[setOf(i)] += input[i] / number;
    for (let i = 0; i < input.length; i++) squares[setOf(i)] += (input[i] - means[setOf(i)]) ** 2;
    for (let i = 0; i < input.length; i++) {
      const set = setOf(i);
      const scale = (gamma ? gamma[i % channels] : 1) / Math.sqrt(squares[set] / number + layer.epsilon);
      result[i] = (input[i] - means[set]) * scale + (beta ? beta[i % channels] : 0);
    }
    return result;
  }

  function localResponses(layer, input) {
    const channels = layer.shape[layer.shape.length - 1];
    const result = new Float32Array(input.length);
    const squares = new Float64Array(channels);
    for (let start = 0; start < input.length; start += channels) {
      for (let c = 0; c < channels; c++) squares[c] = input[start + c] ** 2;
      for (let channel = 0; channel < channels; channel++) {
        const last = Math.min(channel + layer.depth_radius, channels - 1);
        let total = 0;
        for (let c = Math.max(channel - layer.depth_radius, 0); c <= last; c++) total += squares[c];
        result[start + channel] = input[start + channel] / (layer.bias + layer.alpha * total) ** layer.beta;
      }
    }
    return result;
  }

  function padChannels(layer, input) {
    const channels = layer.shape[layer.shape.length - 1];
    const given = channels - layer.padding[0] - layer.padding[1];
    return Float32Array.from({ length: (input.length / given) * channels }, (_, i) => {
      const channel = (i % channels) - layer.padding[0];
      return channel < 0 || channel >= given ? 0 : input[Math.floor(i / channels) * given + channel];
    });
  }

  // Walks through the result axis by axis, from the last: each has the step in the input that its axis had there.
  function permute(layer, input) {
    const [from] = layer.from;
    const steps = from.map((_, axis) => from.slice(axis + 1).reduce((a, b) => a * b, 1));
    return Float32Array.from(input, (_, i) => {
      let place = 0;
      for (let axis = layer.shape.length - 1; axis >= 0; axis--) {
        place += (i % layer.shape[axis]) * steps[layer.dims[axis] - 1];
        i = Math.floor(i / layer.shape[axis]);
      }
      return input[place];
    });
  }

  // Each pixel of the result comes from one of the input, or is 0: padding, cropping, enlarging.
  function moved(layer, input, from) {
    const [height, width, channels] = layer.from[0];
    const [rows, columns] = layer.shape;
    const result = new Float32Array(rows * columns * channels);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const [y, x] = from(row, column);
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        const start = (y * width + x) * channels;
        result.set(input.subarray(start, start + channels), (row * columns + column) * channels);
      }
    }
    return result;
  }

  function concatenate(layer, inputs) {
    const channels = layer.shape[layer.shape.length - 1];
    const result = new Float32Array(layer.shape.reduce((a, b) => a * b));
    let offset = 0;
    inputs.forEach((input, index) => {
      const own = layer.from[index][layer.from[index].length - 1];
      for (let from = 0, to = offset; from < input.length; from += own, to += channels) {
        result.set(input.subarray(from, from + own), to);
      }
      offset += own;
    });
    return result;
  }

  // Repeats axes of length 1.
  function repeated(input, from, shape) {
    if (from.every((length, axis) => length === shape[axis])) return input;
    const result = new Float32Array(shape.reduce((a, b) => a * b));
    return result.map((_, i) => {
      let [place, step, rest] = [0, 1, i];
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        if (from[axis] > 1) place += step * (rest % shape[axis]);
        step *= from[axis];
        rest = Math.floor(rest / shape[axis]);
      }
      return input[place];
    });
  }

  const COMBINATIONS = {
    Add: (a, b) => a + b,
    Average: (a, b) => a + b,
    Maximum: Math.max,
    Minimum: Math.min,
    Multiply: (a, b) => a * b,
    Subtract: (a, b) => a - b,
  };

  function combine(layer, inputs) {
    const [first, ...others] = inputs.map((input, index) => repeated(input, layer.from[index], layer.shape));
    const number = layer.how === "Average" ? inputs.length : 1;
    const how = COMBINATIONS[layer.how];
    const result = first.slice();
    for (const other of others) for (let i = 0; i < result.length; i++) result[i] = how(result[i], other[i]);
    if (number > 1) for (let i = 0; i < result.length; i++) result[i] /= number;
    return result;
  }

  function interpolate(layer, input) {
    const [height, width, channels] = layer.from[0];
    const [newHeight, newWidth] = layer.shape;
    const rows = neighbours(height, newHeight);
    const columns = neighbours(width, newWidth);
    const at = (y, x, c) => input[(y * width + x) * channels + c];
    const between = (first, second, way) => first + (second - first) * way;
    const result = new Float32Array(newHeight * newWidth * channels);
    rows.forEach(([above, below, down], row) =>
      columns.forEach(([left, right, across], column) => {
        for (let c = 0; c < channels; c++) {
          const top = between(at(above, left, c), at(above, right, c), across);
          const bottom = between(at(below, left, c), at(below, right, c), across);
          result[(row * newWidth + column) * channels + c] = between(top, bottom, down);
        }
      }),
    );
    return result;
  }

  function rectify(layer, input) {
    const { threshold, negative_slope: slope, max_value: most } = layer;
    const result = new Float32Array(input.length);
    for (let i = 0; i < input.length; i++) {
      const value = input[i] >= threshold ? input[i] : slope * (input[i] - threshold);
      result[i] = most === null ? value : Math.min(value, most);
    }
    return result;
  }

  // Mean and variance are those of training, kept in the layer: each channel is scaled and shifted.
  function batchNorm(layer, input) {
    const { gamma, beta, moving_mean: mean, moving_variance: variance } = layer.weights;
    const scale = Float64Array.from(variance, (v, i) => (gamma ? gamma[i] : 1) / Math.sqrt(v + layer.epsilon));
    const shift = Float64Array.from(mean, (m, i) => (beta ? beta[i] : 0) - m * scale[i]);
    return affine(input, scale, shift);
  }

  function affine(input, scale, shift) {
    const result = new Float32Array(input.length);
    const number = Math.max(scale.length, shift.length);
    for (let start = 0; start < input.length; start += number) {
      for (let i = 0; i < number; i++) {
        result[start + i] = input[start + i] * scale[i % scale.length] + shift[i % shift.length];
      }
    }
    return result;
  }

  const LAYERS = {
    conv: convolve,
    transposed,
    depthwise: (layer, input) =>
      finished(layer, depthwise(layer, input, layer.weights.kernel, layer.multiplier), layer.weights.bias),
    separable: (layer, input) => {
      const middle = Float32Array.from(depthwise(layer, input, layer.weights.depthwise_kernel, layer.multiplier));
      const wide = layer.from[0][2] * layer.multiplier;
      const weights = { kernel: layer.weights.pointwise_kernel, bias: layer.weights.bias };
      return dense({ ...layer, from: [[wide]], weights }, middle);
    },
    dense,
    pool,
    poolAll,
    affine: (layer, input) => affine(input, layer.weights.scale, layer.weights.shift),
    batchNorm,
    layerNorm: (layer, input) => {
      const channels = layer.shape[layer.shape.length - 1];
      return normalize(layer, input, input.length / channels, (i) => Math.floor(i / channels));
    },
    groupNorm: (layer, input) => {
      const channels = layer.shape[layer.shape.length - 1];
      return normalize(layer, input, layer.groups, (i) => Math.floor(((i % channels) * layer.groups) / channels));
    },
    localResponses,
    padChannels,
    permute,
    activation: (layer, input) => input,
    rectify,
    same: (layer, input) => input,
    shift: (layer, input) => moved(layer, input, (row, column) => [row - layer.by[0], column - layer.by[1]]),
    enlarge: (layer, input) =>
      moved(layer, input, (row, column) => [Math.floor(row / layer.by[0]), Math.floor(column / layer.by[1])]),
    interpolate,
    pick: (layer, input) => {
      const [rows, columns] = [0, 1].map((axis) => under(layer.from[0][axis], layer.shape[axis]));
      return moved(layer, input, (row, column) => [rows[row][0], columns[column][0]]);
    },
  };

  // Is high where no class finds evidence: −log Σ exp(logit).
  function energyOf(logits) {
    const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    return -(largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)));
  }

  // Takes other weights, in the order of `buffer`: those of another epoch, or the first ones where none are given.
  // Changes of single weights are lost, channels that are switched off stay so.
  function setWeights(other) {
    if (other && other.byteLength !== buffer.byteLength) throw new RangeError("the weights are of another network");
    program.layers.forEach(({ weights = {} }, i) => {
      const places = Object.entries(weights);
      const views = places.map(([name, [offset, size]]) => [name, new Float32Array(other || buffer, offset, size)]);
      layers[i].weights = Object.fromEntries(views);
      layers[i].edited = {};
    });
  }

  // Sets one weight of a layer: `index` counts through the array. The weights as given stay untouched, for `reset`.
  function edit(layer, weightName, index, value) {
    const { weights, edited } = layers[layer];
    if (!edited[weightName]) {
      edited[weightName] = weights[weightName];
      weights[weightName] = weights[weightName].slice();
    }
    weights[weightName][index] = value;
  }

  // Switches one channel of a layer's output off: it is 0 for all that comes after; with `on` false, undoes that.
  function silence(layer, channel, on) {
    if (on === false) layers[layer].silent.delete(channel);
    else layers[layer].silent.add(channel);
  }

  // Undoes all changes of single weights and switches all channels on.
  function reset() {
    for (const layer of layers) {
      Object.assign(layer.weights, layer.edited);
      layer.edited = {};
      layer.silent.clear();
    }
  }

  const differs = ({ silent, edited, weights }) =>
    silent.size > 0 || Object.keys(edited).some((name) => edited[name].some((value, i) => value !== weights[name][i]));

  // Returns what a layer makes of its inputs, and what it was before the activation where there is one.
  function compute(layer, inputs) {
    const { kind, activation, silent } = layer;
    const channels = layer.shape[layer.shape.length - 1];
    let before = null;
    let result;
    if (kind === "combine") result = combine(layer, inputs);
    else if (kind === "concatenate") result = concatenate(layer, inputs);
    else result = LAYERS[kind](layer, inputs[0]);
    if (activation && activation !== "linear") {
      before = result;
      result = activated(result.slice(), activation, channels);
    }
    if (silent.size) {
      result = result.slice();
      for (const channel of silent) for (let i = channel; i < result.length; i += channels) result[i] = 0;
    }
    return { before, result };
  }

  function scaled(pixels) {
    const image = new Float32Array(pixels.length);
    for (let i = 0; i < image.length; i++) image[i] = pixels[i] / 255;
    return image;
  }

  // Adds the answer of the task to what the layers made.
  function answered(trace) {
    const { image, outputs } = trace;
    if (program.detector) return { ...trace, ...detected(outputs) };
    const logits = outputs.length ? outputs[outputs.length - 1] : image;
    if (program.task === "segmentation") return { ...trace, ...segmented(logits) };
    return { ...trace, probabilities: softmax(logits, logits.length), energy: energyOf(logits) };
  }

  // Computes the layers for which `changed` holds into copies of the lists, and leaves the other values shared.
  function run(image, outputs, before, changed) {
    layers.forEach((layer, index) => {
      if (!changed[index]) return;
      const made = compute(layer, layer.inputs.map((i) => (i < 0 ? image : outputs[i])));
      outputs[index] = made.result;
      before[index] = made.before;
    });
    return answered({ image, input: image, outputs, before });
  }

  // Returns what every layer makes of an image: values from 0 to 255 of the network's size, row by row. `outputs` and
  // `before` (the activation, null where there is none) have one entry a layer; `input` is what the first layer reads.
  function trace(pixels) {
    return run(scaled(pixels), [], [], layers.map(() => true));
  }

  // Returns a trace as it is after a change of a layer (or of several), computing only what depends on it.
  function update(trace, fromLayer) {
    const changed = layers.map(() => false);
    for (const index of [].concat(fromLayer)) changed[index] = true;
    layers.forEach(({ inputs }, index) => {
      if (inputs.some((i) => i >= 0 && changed[i])) changed[index] = true;
    });
    return run(trace.image, trace.outputs.slice(), trace.before.slice(), changed);
  }

  // Returns the class of each pixel that the network reads, and the probabilities of all classes there.
  function segmented(logits) {
    const { height, width, classes } = program;
    const from = layers.length ? layers[layers.length - 1].shape : [height, width, classes.length];
    const same = from[0] === height && from[1] === width;
    const shape = [height, width, classes.length];
    const probabilities = softmax(same ? logits : interpolate({ from: [from], shape }, logits), classes.length);
    const mask = Uint8Array.from({ length: height * width }, (_, i) => largest(probabilities, i * classes.length));
    return { probabilities, mask };
  }

  function largest(values, start) {
    let best = 0;
    for (let i = 1; i < program.classes.length; i++) if (values[start + i] > values[start + best]) best = i;
    return best;
  }

  // Returns the class of each pixel of an image as it came, or of the image in a smaller size: probabilities are
  // interpolated between the pixels that the network read.
  function maskOf(probabilities, image, height, width) {
    const number = program.classes.length;
    const all = { rows: program.height, columns: program.width, top: 0, left: 0 };
    const { rows, columns, top, left } = program.fit === "pad" ? place(image) : all;
    const across = neighbours(columns, width);
    const mask = new Uint8Array(height * width);
    const values = new Float32Array(number);
    const at = (y, x) => ((top + y) * program.width + left + x) * number;
    const between = (first, second, way, c) =>
      probabilities[first + c] + (probabilities[second + c] - probabilities[first + c]) * way;
    neighbours(rows, height).forEach(([above, below, down], row) =>
      across.forEach(([before, after, right], column) => {
        for (let c = 0; c < number; c++) {
          const upper = between(at(above, before), at(above, after), right, c);
          const lower = between(at(below, before), at(below, after), right, c);
          values[c] = upper + (lower - upper) * down;
        }
        mask[row * width + column] = largest(values, 0);
      }),
    );
    return mask;
  }

  // Returns a heatmap's logits where they are the highest of 3×3 cells, else −∞.
  function peaks(layer, logits) {
    const [rows, columns, channels] = layer.shape;
    const window = { size: [3, 3], strides: [1, 1], dilation: [1, 1], margin: [1, 1], largest: true };
    const highest = pool({ ...window, from: [[rows, columns, channels]], shape: layer.shape }, logits);
    return logits.map((logit, i) => (logit === highest[i] ? logit : -Infinity));
  }

  // Returns the edges of each cell's box in the network's pixels: xmin, ymin, xmax, ymax.
  function corners(layer, logarithms) {
    const [rows, columns] = layer.shape;
    const strides = [f(program.width / columns), f(program.height / rows)];
    const limit = program.detector.largest_log;
    return logarithms.map((value, i) => {
      const [cell, edge] = [Math.floor(i / 4), i % 4];
      const stride = strides[edge % 2];
      const middle = f(((edge % 2 ? Math.floor(cell / columns) : cell % columns) + 0.5) * stride);
      const distance = f(stride * f(Math.exp(clip(value, -limit, limit))));
      return edge < 2 ? middle - distance : middle + distance;
    });
  }

  // Returns the boxes with the highest logits, the highest first; of equal logits, the upper row's first, then the left's.
  function detected(outputs) {
    const { planes, most_boxes: most } = program.detector;
    const joined = (parts) => Float32Array.from(parts.flatMap((part) => Array.from(part)));
    const all = joined(planes.map(({ heatmap }) => peaks(layers[heatmap], outputs[heatmap])));
    const edges = joined(planes.map(({ box }) => corners(layers[box], outputs[box])));
    const channels = layers[planes[0].heatmap].shape[2];
    const number = Math.min(most, edges.length / 4);
    const places = Array.from(all.keys());
    const found = places.filter((i) => all[i] > -Infinity).sort((a, b) => all[b] - all[a] || a - b);
    const none = places.filter((i) => !(all[i] > -Infinity)).slice(0, Math.max(number - found.length, 0));
    const chosen = [...found, ...none].slice(0, number);
    const best = {
      boxes: joined(chosen.map((i) => edges.subarray(4 * Math.floor(i / channels)).subarray(0, 4))),
      labels: Int32Array.from(chosen, (i) => i % channels),
      scores: Float32Array.from(chosen, (i) => sigmoid(all[i])),
    };
    return program.detector.sigma === null ? best : suppressed(best, program.detector.sigma);
  }

  // Matrix NMS of SOLOv2: scores fall where boxes overlap better ones of their class, less where those fall themselves.
  function suppressed({ boxes, labels, scores }, sigma) {
    const boxOf = (i) => boxes.subarray(4 * i, 4 * i + 4);
    const most = new Float64Array(scores.length);
    const lowered = scores.map((score, own) => {
      let factor = 1;
      for (let better = 0; better < own; better++) {
        if (labels[better] !== labels[own]) continue;
        const square = iou(boxOf(better), boxOf(own)) ** 2;
        most[own] = Math.max(most[own], square);
        factor = Math.min(factor, Math.exp(sigma * (most[better] - square)));
      }
      return score * factor;
    });
    const order = Array.from(scores.keys()).sort((a, b) => lowered[b] - lowered[a] || a - b);
    return {
      boxes: Float32Array.from(order.flatMap((i) => Array.from(boxOf(i)))),
      labels: Int32Array.from(order, (i) => labels[i]),
      scores: Float32Array.from(order, (i) => lowered[i]),
    };
  }

  function iou(one, other) {
    const side = (axis) => Math.min(one[axis + 2], other[axis + 2]) - Math.max(one[axis], other[axis]);
    const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
    const shared = Math.max(side(0), 0) * Math.max(side(1), 0);
    return shared / (area(one) + area(other) - shared);
  }

  // Returns what was detected in an image as it came, in its own pixels, cut off at its edges.
  function objectsOf({ boxes, labels, scores }, image) {
    const all = { rows: program.height, columns: program.width, top: 0, left: 0 };
    const { rows, columns, top, left } = program.fit === "pad" ? place(image) : all;
    const sizes = [image.width, image.height];
    const inside = (value, axis) => clip(((value - [left, top][axis]) * sizes[axis]) / [columns, rows][axis], 0, sizes[axis]);
    return Array.from(scores, (score, i) => {
      const box = Array.from(boxes.subarray(4 * i, 4 * i + 4), (value, edge) => inside(value, edge % 2));
      return { label: labels[i], score, box };
    }).filter(({ score, box }) => score > 0 && box.every(Number.isFinite));
  }

  // From here on: from an image of any size to what the network reads, by training's own rule and rounding.
  function neighbours(length, newLength) {
    const scale = f(length / newLength);
    return Array.from({ length: newLength }, (_, i) => {
      const place = f(f((i + 0.5) * scale) - 0.5);
      const before = Math.floor(place);
      return [Math.max(before, 0), Math.min(Math.ceil(place), length - 1), f(place - before)];
    });
  }

  function under(length, newLength) {
    const scale = f(length / newLength);
    const at = (i) => Math.min(Math.floor(f((i + 0.5) * scale)), length - 1);
    return Array.from({ length: newLength }, (_, i) => [at(i), at(i), 0]);
  }

  function roundHalfEven(value) {
    const below = Math.floor(value);
    const rest = value - below;
    if (rest !== 0.5) return Math.round(value);
    return below % 2 === 0 ? below : below + 1;
  }

  function scale(image, height, width) {
    const taps = program.method === "nearest" ? under : neighbours;
    const rows = taps(image.height, height);
    const columns = taps(image.width, width);
    const { channels } = image;
    const pixels = new Uint8Array(height * width * channels);
    const at = (y, x, c) => image.pixels[(y * image.width + x) * channels + c];
    const between = (first, second, way) => f(first + f(f(second - first) * way));
    rows.forEach(([above, below, down], row) =>
      columns.forEach(([left, right, across], column) => {
        for (let c = 0; c < channels; c++) {
          const top = between(at(above, left, c), at(above, right, c), across);
          const bottom = between(at(below, left, c), at(below, right, c), across);
          pixels[(row * width + column) * channels + c] = roundHalfEven(between(top, bottom, down));
        }
      }),
    );
    return { pixels, height, width, channels };
  }

  function part(image, top, left, height, width) {
    const { channels } = image;
    const pixels = new Uint8Array(height * width * channels);
    for (let row = 0; row < height; row++) {
      const start = ((top + row) * image.width + left) * channels;
      pixels.set(image.pixels.subarray(start, start + width * channels), row * width * channels);
    }
    return { pixels, height, width, channels };
  }

  function crop(image) {
    const { height, width } = program;
    const rows = clip(Math.floor((image.width * height) / width), 1, image.height);
    const columns = clip(Math.floor((image.height * width) / height), 1, image.width);
    const top = Math.floor((image.height - rows) / 2);
    const left = Math.floor((image.width - columns) / 2);
    return scale(part(image, top, left, rows, columns), height, width);
  }

  // Returns how large an image is where it is padded to the network's size, and where it begins there.
  function place(image) {
    const { height, width } = program;
    const tall = image.height * width >= image.width * height;
    const wide = image.width * height >= image.height * width;
    const rows = tall ? height : clip(Math.floor((image.height * width) / image.width), 1, height);
    const columns = wide ? width : clip(Math.floor((image.width * height) / image.height), 1, width);
    return { rows, columns, top: Math.floor((height - rows) / 2), left: Math.floor((width - columns) / 2) };
  }

  function pad(image) {
    const { height, width } = program;
    const { rows, columns, top, left } = place(image);
    const scaled = scale(image, rows, columns);
    const { channels } = image;
    const pixels = new Uint8Array(height * width * channels);
    for (let row = 0; row < rows; row++) {
      const line = scaled.pixels.subarray(row * columns * channels, (row + 1) * columns * channels);
      pixels.set(line, ((top + row) * width + left) * channels);
    }
    return { pixels, height, width, channels };
  }

  function inChannels(image) {
    const { channels } = program;
    if (image.channels === channels) return image;
    const number = image.height * image.width;
    const pixels = new Uint8Array(number * channels);
    for (let i = 0; i < number; i++) {
      if (channels === 3) pixels.fill(image.pixels[i], 3 * i, 3 * i + 3);
      else {
        const [red, green, blue] = image.pixels.subarray(3 * i, 3 * i + 3);
        pixels[i] = Math.floor((19595 * red + 38470 * green + 7471 * blue + 32768) / 65536);
      }
    }
    return { ...image, pixels, channels };
  }

  // Takes {pixels: Uint8Array, height, width, channels} of any size, returns the network's own size.
  function preprocess(image) {
    const own = inChannels(image);
    if (own.height === program.height && own.width === program.width) return own;
    if (program.fit === "crop") return crop(own);
    return program.fit === "pad" ? pad(own) : scale(own, program.height, program.width);
  }

  // Two numbers with some decimals, or with as many more as it takes to see that they differ.
  function toldApart(value, limit, decimals) {
    for (let number = decimals; number < 17; number++) {
      const texts = [value.toFixed(number), limit.toFixed(number)];
      if (texts[0] !== texts[1]) return texts;
    }
    return [value.toFixed(decimals), limit.toFixed(decimals)];
  }

  // Says what is unusual about an image of the network's size, by the rules and in the words of `cnn predict`.
  function doubts(pixels, energy) {
    const found = [];
    const { channels, ood_detector: detector } = program;
    if (pixels.every((value, i) => value === pixels[i % channels])) {
      found.push("the image is blank: all its pixels have the same value");
    }
    if (detector && !(energy <= detector.energy)) {
      const [value, limit] = toldApart(energy, detector.energy, 2);
      const rate = (100 * detector.false_alarm_rate).toFixed(1);
      const what = `its energy is ${value}, above ${limit}`;
      const usual = `so is that of only ${rate} % of the ${detector.split} images`;
      found.push(`it looks unlike the training images: ${what}; ${usual}`);
    }
    return found;
  }

  // What the page is proven by: the outputs of the task one after the other, in alphabetical order.
  function predict(image) {
    const { mask, probabilities, boxes, labels, scores } = trace(preprocess(image).pixels);
    const parts = boxes ? [boxes, labels, scores] : mask ? [mask, probabilities] : [probabilities];
    const values = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((start, part) => (values.set(part, start), start + part.length), 0);
    return values;
  }

  return {
    program,
    layers,
    forward: trace,
    trace,
    update,
    edit,
    silence,
    setWeights,
    reset,
    get edited() {
      return layers.some(differs);
    },
    activations: ACTIVATIONS,
    neighbours,
    preprocess,
    doubts,
    maskOf,
    objectsOf,
    predict,
  };
}
