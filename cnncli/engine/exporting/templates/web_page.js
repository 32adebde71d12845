"use strict";
const byId = (id) => document.getElementById(id);
const network = makeNetwork(
  JSON.parse(byId("network").textContent),
  Uint8Array.from(atob(byId("weights").textContent), (character) => character.charCodeAt(0)).buffer,
);
const { program } = network;
const MOST_TILES = 64;
const pad = byId("pad");
const pen = pad.getContext("2d", { willReadFrequently: true });
const paper = program.dark ? "#000" : "#fff";
const ink = program.dark ? "#fff" : "#000";
const MOST_PAINTED = 1024;
const LEAST_SIDE = 480;
const hasMask = program.task === "segmentation";
const hasBoxes = program.task === "detection";
const hasPlaces = hasMask || hasBoxes;
let dropped = null;
let painted = null;
let drawn = false;
let waiting = false;

function clear() {
  [dropped, painted, drawn] = [null, null, false];
  pen.fillStyle = paper;
  pen.fillRect(0, 0, pad.width, pad.height);
  soon();
}

function imageOf(canvas) {
  const { data, width, height } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) pixels.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
  return { pixels, height, width, channels: 3 };
}

// Averages the drawing down to the size that the training images came in.
function shrunk(source, box, height, width) {
  const target = document.createElement("canvas");
  [target.width, target.height] = [width, height];
  const brush = target.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = paper;
  brush.fillRect(0, 0, width, height);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(source, box.x, box.y, box.size, box.size, 0, 0, width, height);
  return target;
}

// Where the drawing lies, moved so that its ink is in the middle and fills five sevenths, as in MNIST.
function inkBox() {
  const whole = { x: 0, y: 0, size: pad.width };
  if (!byId("centre").checked) return whole;
  const { data } = pen.getImageData(0, 0, pad.width, pad.height);
  let [left, right, top, bottom, mass, sumX, sumY] = [pad.width, -1, pad.height, -1, 0, 0, 0];
  for (let y = 0; y < pad.height; y++) {
    for (let x = 0; x < pad.width; x++) {
      const amount = Math.abs(data[4 * (y * pad.width + x)] - (program.dark ? 0 : 255));
      if (amount < 32) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      mass += amount;
      sumX += amount * x;
      sumY += amount * y;
    }
  }
  if (right < 0) return whole;
  const size = (Math.max(right - left, bottom - top) + 1) * 1.4;
  return { x: sumX / mass - size / 2, y: sumY / mass - size / 2, size };
}

function current() {
  if (dropped) return dropped;
  return imageOf(shrunk(pad, inkBox(), program.usual_size[0], program.usual_size[1]));
}

function soon() {
  if (waiting) return;
  waiting = true;
  const work = () => {
    waiting = false;
    update();
  };
  // A photo is seen first, then what is found in it: a large network computes for seconds.
  requestAnimationFrame(hasBoxes ? () => setTimeout(work) : work);
}

function update() {
  // A blank canvas is no image: a network would name a class for it all the same.
  if (!dropped && !drawn) return showNothing();
  const image = network.preprocess(current());
  const answered = network.forward(image.pixels);
  const { outputs, probabilities, energy } = answered;
  drawImage(byId("seen"), image.pixels, image.height, image.width, image.channels);
  if (hasBoxes) {
    painted.objects = network.objectsOf(answered, dropped);
    mark();
  } else if (hasMask) {
    painted.mask = network.maskOf(probabilities, dropped, painted.height, painted.width);
    paint();
    legend(painted.mask);
  } else answer(probabilities);
  warn(network.doubts(image.pixels, energy));
  program.layers.forEach((layer, index) => drawLayer(layer, outputs[index], index));
}

function showNothing() {
  for (const id of ["answer", "doubts", "layers"]) byId(id).replaceChildren();
  [byId("seen").width, byId("seen").height] = [program.width, program.height];
}

function warn(doubts) {
  byId("doubts").replaceChildren(
    ...doubts.map((doubt) => {
      const item = document.createElement("li");
      item.textContent = doubt;
      return item;
    }),
  );
}

// Lays the classes' colours over the image, which is grey below them, so that a colour is a class's alone.
function paint() {
  const { pixels, mask, height, width } = painted;
  const share = byId("share").value / 100;
  const mixed = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < mask.length; i++) {
    const colour = program.colours[mask[i]];
    const grey = (pixels[3 * i] + pixels[3 * i + 1] + pixels[3 * i + 2]) / 3;
    for (let c = 0; c < 3; c++) mixed[3 * i + c] = share ? (1 - share) * grey + share * colour[c] : pixels[3 * i + c];
  }
  drawImage(pad, mixed, height, width, 3);
}

// Names the classes that were found, the largest first, with their colours and their shares of the image.
function legend(mask) {
  const shares = program.classes.map(() => 0);
  for (const label of mask) shares[label] += 1 / mask.length;
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]);
  byId("answer").replaceChildren(
    ...order.filter((index) => shares[index]).map((index) => colouredRow(index, percent(shares[index]), shares[index])),
  );
}

// Draws the photo and the boxes that reach the threshold, and counts them by class; before they are known, the photo.
function mark() {
  const { canvas, objects } = painted;
  const shown = (objects ?? []).filter(({ score }) => score >= threshold());
  const factor = Math.ceil(LEAST_SIDE / Math.max(canvas.width, canvas.height));
  [pad.width, pad.height] = [factor * canvas.width, factor * canvas.height];
  pen.imageSmoothingEnabled = false;
  pen.drawImage(canvas, 0, 0, pad.width, pad.height);
  const width = Math.max(1, Math.round(Math.max(pad.width, pad.height) / 240));
  const labels = labelsOf(shown, factor, width);
  // The most confident last: they are drawn over the others, and no line crosses a label.
  for (const { label, box } of [...shown].reverse()) {
    const [left, top, right, bottom] = box.map((edge) => factor * edge);
    pen.strokeStyle = colourOf(label);
    pen.lineWidth = width;
    pen.strokeRect(left + width / 2, top + width / 2, Math.max(right - left - width, 0), Math.max(bottom - top - width, 0));
  }
  labels.reverse().forEach(write);
  if (objects) count(shown);
  else byId("answer").replaceChildren(totalRow("computing …", ""));
}

const threshold = () => Number(byId("threshold").value);

// Places a label above each box, or below its upper edge where there is no room; always within the image.
function labelsOf(shown, factor, width) {
  const size = Math.max(11, 3 * width + 8);
  pen.font = `${size}px system-ui, sans-serif`;
  const taken = new Set();
  return shown.map(({ label, score, box }) => {
    const text = `${program.classes[label]} ${score.toFixed(2)}`;
    const [across, down] = [Math.ceil(pen.measureText(text).width) + 4, size + 4];
    const [left, top] = box.map((edge) => Math.round(factor * edge));
    const x = Math.max(Math.min(left, pad.width - across), 0);
    let y = top >= down ? top - down : top;
    // Several classes may have the same box: their labels stand below each other.
    while (taken.has(`${x} ${y}`) && y + 2 * down <= pad.height) y += down;
    taken.add(`${x} ${y}`);
    return { text, label, size, x, y, across, down };
  });
}

function write({ text, label, size, x, y, across, down }) {
  pen.fillStyle = colourOf(label);
  pen.fillRect(x, y, across, down);
  const [red, green, blue] = program.colours[label];
  pen.fillStyle = 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000" : "#fff";
  pen.textBaseline = "middle";
  pen.fillText(text, x + 2, y + down / 2 + size / 16);
}

// Names the classes that were found, the most frequent first, with their colours and how many there are.
function count(shown) {
  const counts = program.classes.map(() => 0);
  for (const { label } of shown) counts[label] += 1;
  const most = Math.max(...counts);
  const order = Array.from(counts.keys()).sort((a, b) => counts[b] - counts[a]);
  const rows = order.filter((index) => counts[index]).map((index) => colouredRow(index, times(counts[index]), counts[index] / most));
  const total = shown.length ? totalRow("all", times(shown.length)) : totalRow("nothing has such a score", "");
  byId("answer").replaceChildren(...rows, total);
}

function totalRow(name, number) {
  const row = document.createElement("tr");
  row.className = "first";
  row.insertCell().textContent = name;
  row.insertCell().textContent = number;
  return row;
}

const colourOf = (index) => `rgb(${program.colours[index].join(" ")})`;
const times = (number) => "× " + number;
const percent = (share) => (100 * share).toFixed(1) + " %";

function colouredRow(index, text, share) {
  const row = rowOf(program.classes[index], text, share);
  const swatch = document.createElement("i");
  swatch.style.background = row.querySelector("div").style.background = colourOf(index);
  row.cells[0].prepend(swatch);
  return row;
}

function rowOf(name, text, share) {
  const row = document.createElement("tr");
  row.insertCell().textContent = name;
  row.insertCell().textContent = text;
  const cell = row.insertCell();
  cell.className = "bar";
  const bar = document.createElement("div");
  bar.style.width = 100 * share + "%";
  cell.append(bar);
  return row;
}

function answer(probabilities) {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const shown = probabilities.length <= 12 ? Array.from(probabilities.keys()) : order.slice(0, 10);
  byId("answer").replaceChildren(
    ...shown.map((index) => {
      const row = rowOf(program.classes[index], percent(probabilities[index]), probabilities[index]);
      row.className = index === order[0] ? "first" : "";
      return row;
    }),
  );
}

function drawImage(canvas, pixels, height, width, channels) {
  [canvas.width, canvas.height] = [width, height];
  const brush = canvas.getContext("2d");
  const drawn = brush.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) drawn.data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
    drawn.data[4 * i + 3] = 255;
  }
  brush.putImageData(drawn, 0, 0);
}

// Draws a layer's values: an image as one tile a channel, a vector as one row; black is the smallest, white the largest.
function drawLayer(layer, values, index) {
  const canvas = layerCanvas(layer, index);
  const flat = layer.shape.length === 1;
  const [height, width, channels] = flat ? [1, layer.shape[0], 1] : layer.shape.length === 2 ? [1, ...layer.shape] : layer.shape;
  const tiles = Math.min(channels, MOST_TILES);
  const across = Math.min(tiles, Math.max(1, Math.floor(900 / (width + 1))), 16);
  [canvas.width, canvas.height] = [across * (width + 1) - 1, Math.ceil(tiles / across) * (height + 1) - 1];
  const zoom = Math.max(1, Math.min(flat ? 8 : Math.ceil(72 / height), Math.floor(900 / canvas.width)));
  canvas.style.width = zoom * canvas.width + "px";
  if (flat) canvas.style.height = "14px";
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const brush = canvas.getContext("2d");
  const drawn = brush.createImageData(canvas.width, canvas.height);
  for (let tile = 0; tile < tiles; tile++) {
    const [top, left] = [Math.floor(tile / across) * (height + 1), (tile % across) * (width + 1)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = (255 * (values[(y * width + x) * channels + tile] - low)) / (high - low || 1);
        const place = 4 * ((top + y) * canvas.width + left + x);
        drawn.data.set([value, value, value, 255], place);
      }
    }
  }
  brush.putImageData(drawn, 0, 0);
}

function layerCanvas(layer, index) {
  const known = byId("layer" + index);
  if (known) return known;
  const holder = document.createElement("div");
  holder.className = "layer";
  const title = document.createElement("b");
  title.textContent = layer.name;
  const about = document.createElement("span");
  about.textContent = layer.type + " " + layer.shape.join("×");
  const canvas = document.createElement("canvas");
  canvas.id = "layer" + index;
  holder.append(title, " ", about, canvas);
  byId("layers").append(holder);
  return canvas;
}

async function open(file) {
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(bitmap, 0, 0);
  dropped = imageOf(canvas);
  if (hasBoxes) {
    pad.style.aspectRatio = canvas.width + " / " + canvas.height;
    painted = { canvas, objects: null };
    mark();
  } else if (hasMask) painted = pictureOf(canvas);
  else show(canvas);
  soon();
}

// Returns an image as it is shown: large ones smaller, so that painting them takes no time.
function pictureOf(canvas) {
  const size = Math.min(1, MOST_PAINTED / Math.max(canvas.width, canvas.height));
  const small = document.createElement("canvas");
  [small.width, small.height] = [canvas.width, canvas.height].map((length) => Math.max(1, Math.round(length * size)));
  small.getContext("2d", { willReadFrequently: true }).drawImage(canvas, 0, 0, small.width, small.height);
  pad.style.aspectRatio = small.width + " / " + small.height;
  return imageOf(small);
}

function show(canvas) {
  pen.fillStyle = paper;
  pen.fillRect(0, 0, pad.width, pad.height);
  const size = Math.min(pad.width / canvas.width, pad.height / canvas.height);
  const [width, height] = [canvas.width * size, canvas.height * size];
  pen.drawImage(canvas, (pad.width - width) / 2, (pad.height - height) / 2, width, height);
}

function draw(event) {
  if (!program.pad || !(event.buttons & 1)) return;
  if (dropped) clear();
  const scale = pad.width / pad.clientWidth;
  const [x, y] = [event.offsetX * scale, event.offsetY * scale];
  pen.strokeStyle = ink;
  pen.lineWidth = pad.width / 13;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  const from = event.type === "pointerdown" ? [x, y] : [x - event.movementX * scale, y - event.movementY * scale];
  pen.moveTo(...from);
  pen.lineTo(x, y);
  pen.stroke();
  drawn = true;
  soon();
}

byId("about").textContent = program.pad
  ? "Draw with the mouse or a finger, or drop an image. Everything is computed in this page; nothing is sent anywhere."
  : "Drop an image, or open one. Everything is computed in this page; nothing is sent anywhere.";
byId("centring").hidden = !program.pad;
byId("laying").hidden = !hasMask;
byId("share").addEventListener("input", () => painted && paint());
byId("least").hidden = !hasBoxes;
const tellThreshold = () => (byId("limit").textContent = threshold().toFixed(2));
if (hasBoxes) byId("threshold").value = program.detector.least_score;
tellThreshold();
byId("threshold").addEventListener("input", () => {
  tellThreshold();
  if (painted) mark();
});
document.body.classList.toggle("places", hasPlaces);
document.body.classList.toggle("boxes", hasBoxes);
if (hasMask) pad.setAttribute("aria-label", "The image with the colours of its classes");
if (hasBoxes) pad.setAttribute("aria-label", "The image with a box around each object");
byId("centre").checked = program.centre;
byId("centre").addEventListener("change", soon);
byId("clear").addEventListener("click", clear);
byId("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  draw(event);
});
pad.addEventListener("pointermove", draw);
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}
clear();
