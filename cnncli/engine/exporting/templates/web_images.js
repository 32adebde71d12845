"use strict";
// Changes of an image, each a new one: {pixels: Float32Array from 0 to 255 row by row, height, width, channels}.
// And kernels as lectures show them, and the map of what an answer rests on.
function makeImages() {
  const clip = (value) => Math.min(Math.max(value, 0), 255);
  const like = (image, pixels) => ({ ...image, pixels });

  function mapped(image, change) {
    return like(image, Float32Array.from(image.pixels, change));
  }

  // Makes an image by asking for every position where its pixel comes from: take(row, column, write) calls
  // write(channel, value).
  function made(image, take) {
    const { height, width, channels } = image;
    const pixels = new Float32Array(height * width * channels);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const start = (row * width + column) * channels;
        for (let c = 0; c < channels; c++) pixels[start + c] = take(row, column, c);
      }
    }
    return like(image, pixels);
  }

  // One number for all channels, or one for each.
  const of = (fill, channel) => (typeof fill === "number" ? fill : fill[channel]);

  function at({ pixels, height, width, channels }, row, column, channel, fill) {
    if (row < 0 || row >= height || column < 0 || column >= width) return of(fill, channel);
    return pixels[(row * width + column) * channels + channel];
  }

  // Moves an image by whole pixels; what comes in is `fill`.
  function shift(image, down, right, fill = 0) {
    return made(image, (row, column, c) => at(image, row - down, column - right, c, fill));
  }

  // Turns an image about its middle, counter-clockwise as it is seen; between pixels bilinearly, outside `fill`.
  function rotate(image, degrees, fill = 0) {
    const angle = (degrees * Math.PI) / 180;
    // A quarter turn's cosine is 6e-17 in floating-point numbers, which would look for pixels just outside.
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)].map((value) => Math.round(value * 1e12) / 1e12);
    const [middle, centre] = [(image.height - 1) / 2, (image.width - 1) / 2];
    return made(image, (row, column, c) => {
      const y = middle + (row - middle) * cos + (column - centre) * sin;
      const x = centre - (row - middle) * sin + (column - centre) * cos;
      const [top, left] = [Math.floor(y), Math.floor(x)];
      const [down, right] = [y - top, x - left];
      const line = (r) =>
        at(image, r, left, c, fill) * (1 - right) + (right ? at(image, r, left + 1, c, fill) * right : 0);
      return line(top) * (1 - down) + (down ? line(top + 1) * down : 0);
    });
  }

  // Adds a number of grey levels.
  const brightness = (image, levels) => mapped(image, (value) => clip(value + levels));

  // Brings values nearer to the middle grey (factor below 1), or further away from it.
  const contrast = (image, factor) => mapped(image, (value) => clip((value - 127.5) * factor + 127.5));

  // Blurs by a Gaussian of `sigma` pixels; the border's pixels go on outside.
  function blur(image, sigma) {
    if (!(sigma > 0)) return like(image, image.pixels.slice());
    const radius = Math.ceil(3 * sigma);
    const weights = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
    const sum = weights.reduce((a, b) => a + b);
    const near = (place, length) => Math.min(Math.max(place, 0), length - 1);
    const along = (from, read) =>
      made(from, (row, column, c) => {
        let total = 0;
        for (let i = -radius; i <= radius; i++) total += weights[i + radius] * read(from, row, column, c, i);
        return total / sum;
      });
    const down = along(image, (from, row, column, c, i) => at(from, near(row + i, from.height), column, c, 0));
    return along(down, (from, row, column, c, i) => at(from, row, near(column + i, from.width), c, 0));
  }

  // Random numbers from 0 to 1, the same for the same seed (Mulberry32).
  function random(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // Adds normally distributed noise of a standard deviation in grey levels (Box and Muller).
  function noise(image, deviation, seed = 0) {
    const next = random(seed);
    return mapped(image, (value) => {
      const length = Math.sqrt(-2 * Math.log(1 - next()));
      return clip(value + deviation * length * Math.cos(2 * Math.PI * next()));
    });
  }

  // Covers a square, which may reach over the border.
  function cover(image, top, left, size, fill = 127.5) {
    const covered = (row, column) => row >= top && row < top + size && column >= left && column < left + size;
    return made(image, (row, column, c) => (covered(row, column) ? of(fill, c) : at(image, row, column, c, 0)));
  }

  // A network slides kernels without turning them: what is right of the middle meets what is right of the pixel.
  const KERNELS = {
    identity: { image: [[1]], line: [[1]] },
    sharpen: {
      image: [
        [0, -1, 0],
        [-1, 5, -1],
        [0, -1, 0],
      ],
      line: [[-1, 3, -1]],
    },
    sobel_x: {
      image: [
        [-1, 0, 1],
        [-2, 0, 2],
        [-1, 0, 1],
      ],
      line: [[-1, 0, 1]],
    },
    sobel_y: {
      image: [
        [-1, -2, -1],
        [0, 0, 0],
        [1, 2, 1],
      ],
      line: null,
    },
    laplacian: {
      image: [
        [0, 1, 0],
        [1, -4, 1],
        [0, 1, 0],
      ],
      line: [[1, -2, 1]],
    },
  };
  const presets = ["identity", "blur", ...Object.keys(KERNELS).slice(1)];

  const binomial = (size) => {
    const row = [1];
    for (let i = 1; i < size; i++) row.push((row[i - 1] * (size - i)) / i);
    return row.map((value) => value / 2 ** (size - 1));
  };

  // Returns a preset's numbers for one filter of height × width × channels, row by row with the channels last; each
  // channel has an equal share, so that a grey image in colours is filtered as a grey one. Null where it does not fit.
  function kernel(name, height, width, channels) {
    const flat = height === 1 && width > 1;
    const small = name === "blur" ? null : KERNELS[name][flat ? "line" : "image"];
    if (name !== "blur" && (!small || small.length > height || small[0].length > width)) return null;
    const values = new Float32Array(height * width * channels);
    const [down, across] = [binomial(height), binomial(width)];
    const [top, left] = small ? [(height - small.length) >> 1, (width - small[0].length) >> 1] : [0, 0];
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const inner = small && small[row - top];
        const value = small ? (inner && inner[column - left]) || 0 : down[row] * across[column];
        values.fill(value / channels, (row * width + column) * channels, (row * width + column + 1) * channels);
      }
    }
    return values;
  }

  // Covers square after square, `stride` pixels apart, and asks for the answer each time: what falls was needed.
  // A generator, so that a page can pause after any square: it gives {done, total} and in the end returns
  // {rows, columns, tops, lefts, size, answers}: the answers row by row.
  function* occlusion(answerOf, image, size, stride, fill = 127.5) {
    const places = (length) => {
      const last = Math.max(length - size, 0);
      const number = Math.ceil(last / stride) + 1;
      return Array.from({ length: number }, (_, i) => Math.min(i * stride, last));
    };
    const [tops, lefts] = [places(image.height), places(image.width)];
    const answers = new Float32Array(tops.length * lefts.length);
    let done = 0;
    for (const top of tops) {
      for (const left of lefts) {
        answers[done++] = answerOf(cover(image, top, left, size, fill));
        yield { done, total: answers.length };
      }
    }
    return { rows: tops.length, columns: lefts.length, tops, lefts, size, answers };
  }

  return { shift, rotate, brightness, contrast, blur, noise, cover, presets, kernel, occlusion };
}
