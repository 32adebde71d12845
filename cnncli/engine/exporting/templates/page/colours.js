"use strict";
// Colours of values: blue below 0, orange above it, the page's ground at 0; the colour-blind tell them apart.
const SCHEME = matchMedia("(prefers-color-scheme: dark)");
const LEVELS = 255;
const ENDS = {
  light: { low: [12, 84, 160], middle: [247, 247, 245], high: [176, 72, 0] },
  dark: { low: [96, 176, 255], middle: [24, 28, 34], high: [255, 164, 72] },
};

function scaleOf({ low, middle, high }) {
  return Uint8ClampedArray.from({ length: 3 * (2 * LEVELS + 1) }, (_, i) => {
    const way = Math.floor(i / 3) / LEVELS - 1;
    const end = way < 0 ? low : high;
    // A little more colour than proportional: small values are to be seen.
    return middle[i % 3] + (end[i % 3] - middle[i % 3]) * Math.abs(way) ** 0.8;
  });
}

const SCALES = { light: scaleOf(ENDS.light), dark: scaleOf(ENDS.dark) };
const isPrinted = matchMedia("print");
const scaleNow = () => SCALES[SCHEME.matches && !isPrinted.matches ? "dark" : "light"];

// Where the colour of a value stands in a scale that ends at ±limit.
const placeOf = (value, limit) => 3 * (LEVELS + Math.round(LEVELS * Math.min(Math.max(value / limit || 0, -1), 1)));

function valueColour(value, limit) {
  const scale = scaleNow();
  const place = placeOf(value, limit);
  return `rgb(${scale[place]} ${scale[place + 1]} ${scale[place + 2]})`;
}

// The ink that is read on such a ground.
function inkOn(value, limit) {
  const scale = scaleNow();
  const place = placeOf(value, limit);
  const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = [0, 1, 2].map((part) => linear(scale[place + part]));
  // By the contrast of WCAG, one of the two always has more than 4.5.
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function largestOf(values) {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > most && size < Infinity) most = size;
  }
  return most || 1;
}

function drawImage(canvas, pixels, height, width, channels) {
  [canvas.width, canvas.height] = [width, height];
  const brush = canvas.getContext("2d");
  const made = brush.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) made.data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
    made.data[4 * i + 3] = 255;
  }
  brush.putImageData(made, 0, 0);
}

// Draws the bar of a scale from −limit to limit.
function drawScale(canvas) {
  [canvas.width, canvas.height] = [101, 1];
  const brush = canvas.getContext("2d");
  for (let i = 0; i <= 100; i++) {
    brush.fillStyle = valueColour(i - 50, 50);
    brush.fillRect(i, 0, 1, 1);
  }
}
