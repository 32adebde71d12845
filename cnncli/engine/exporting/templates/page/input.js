"use strict";
// What the network is asked about: a drawing, a file, a picture of the camera, an example.
const pad = byId("pad");
const pen = pad.getContext("2d", { willReadFrequently: true });
const paper = program.dark ? "#000" : "#fff";
const ink = program.dark ? "#fff" : "#000";
const MOST_PAINTED = 1024;
const hasMask = program.task === "segmentation";
const hasBoxes = program.task === "detection";
const hasPlaces = hasMask || hasBoxes;
let dropped = null;
let painted = null;
let drawn = false;

function clear() {
  [dropped, painted, drawn] = [null, null, false];
  state.example = null;
  pen.fillStyle = paper;
  pen.fillRect(0, 0, pad.width, pad.height);
  markExample();
  soon();
}

function imageOf(canvas) {
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const { data, width, height } = brush.getImageData(0, 0, canvas.width, canvas.height);
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

async function open(file) {
  take(canvasOf(await createImageBitmap(file)));
}

function canvasOf(picture) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.videoWidth || picture.width, picture.videoHeight || picture.height];
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(picture, 0, 0);
  return canvas;
}

// Takes a picture; `image` holds its pixels where a canvas is only what is seen of them.
function take(canvas, image) {
  dropped = image || imageOf(canvas);
  if (!image) state.example = null;
  if (hasBoxes) {
    pad.style.aspectRatio = canvas.width + " / " + canvas.height;
    painted = { canvas, objects: null };
    mark();
  } else if (hasMask) painted = pictureOf(canvas);
  else show(canvas);
  markExample();
  soon();
}

function takeExample(number) {
  const { pixels } = examples[number];
  const { height, width, channels } = program;
  const canvas = document.createElement("canvas");
  drawImage(canvas, pixels, height, width, channels);
  state.example = number;
  take(canvas, { pixels, height, width, channels });
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

// Shows what the camera sees until a picture of it is taken.
async function startCamera() {
  const video = byId("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    return say(t("no_camera"));
  }
  await video.play();
  for (const id of ["video", "picture"]) byId(id).hidden = false;
  byId("picture").focus();
}

function takePicture() {
  const video = byId("video");
  if (video.videoWidth) take(canvasOf(video));
  for (const track of video.srcObject.getTracks()) track.stop();
  video.srcObject = null;
  for (const id of ["video", "picture"]) byId(id).hidden = true;
  byId("camera").focus();
}

function buildGallery() {
  byId("gallery-part").hidden = !examples.length;
  byId("gallery").replaceChildren(
    ...examples.map((example, number) => {
      const canvas = make("canvas", { "aria-hidden": "true" });
      drawImage(canvas, example.pixels, program.height, program.width, program.channels);
      const known = example.right === true || example.right === false;
      const mark = known ? (example.right ? "✓" : "✗") : "";
      const name = example.right === false ? example.predicted : example.truth;
      const caption = make("span", { class: example.right === false ? "wrong" : "" }, `${mark} ${name}`);
      const key = known ? (example.right ? "example_right" : "example_wrong") : "example_of";
      const said = t(key, { number, ...example });
      const button = make("button", { type: "button", title: said, "aria-pressed": "false" }, canvas, caption);
      button.setAttribute("aria-label", said);
      button.addEventListener("click", () => takeExample(number));
      return button;
    }),
  );
}

function markExample() {
  Array.from(byId("gallery").children).forEach((button, number) => {
    button.setAttribute("aria-pressed", String(number === state.example));
  });
  const example = examples[state.example];
  byId("truth").hidden = !example;
  if (example) byId("truth").textContent = t("truth", { truth: example.truth });
}

function listenToInput() {
  [pad.width, pad.height] = padSize();
  document.body.classList.toggle("places", hasPlaces);
  document.body.classList.toggle("boxes", hasBoxes);
  document.body.classList.toggle("drawing", Boolean(program.pad));
  pad.style.setProperty("--width", program.usual_size[1]);
  pad.style.setProperty("--height", program.usual_size[0]);
  byId("centring").hidden = !program.pad;
  byId("laying").hidden = !hasMask;
  byId("share").addEventListener("input", () => painted && paint());
  byId("least").hidden = !hasBoxes;
  if (hasBoxes) byId("threshold").value = program.detector.least_score;
  tellThreshold();
  byId("threshold").addEventListener("input", () => {
    tellThreshold();
    if (painted) mark();
  });
  byId("centre").checked = program.centre;
  byId("centre").addEventListener("change", soon);
  byId("clear").addEventListener("click", clear);
  byId("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
  byId("camera").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
  byId("camera").addEventListener("click", startCamera);
  byId("picture").addEventListener("click", takePicture);
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
  addEventListener("paste", (event) => {
    const file = Array.from(event.clipboardData.files).find(({ type }) => type.startsWith("image/"));
    if (file) open(file);
  });
}

// A drawing has the form of the images.
function padSize() {
  const [height, width] = program.usual_size;
  const factor = 280 / Math.max(height, width);
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}
