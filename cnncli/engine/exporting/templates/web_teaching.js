"use strict";
// Examples, changes of the image, the epochs of the training, questions, links to a view; and the start of the page.
const lecture = JSON.parse(byId("lecture").textContent || "null");
const toImages = makeImages();
const CHANGES = {
  down: { min: -8, max: 8, step: 1 },
  right: { min: -8, max: 8, step: 1 },
  turn: { min: -180, max: 180, step: 5 },
  brightness: { min: -128, max: 128, step: 8 },
  contrast: { min: 0, max: 2, step: 0.1, plain: 1 },
  blur: { min: 0, max: 4, step: 0.25 },
  noise: { min: 0, max: 100, step: 5 },
  cover: { min: 0, max: 16, step: 1 },
};
const change = Object.fromEntries(Object.entries(CHANGES).map(([name, { plain = 0 }]) => [name, plain]));
let covered = null;
let example = -1;
let epoch = null;
let quizzing = false;
let question = null;

const isChanged = () => Object.entries(CHANGES).some(([name, { plain = 0 }]) => change[name] !== plain);
const ground = () => (program.dark ? 0 : 255);

// Returns the image after all changes, or the very same one without any.
function changedImage(image) {
  if (hasPlaces || !isChanged()) return image;
  let made = { ...image, pixels: Float32Array.from(image.pixels) };
  if (change.down || change.right) made = toImages.shift(made, change.down, change.right, ground());
  if (change.turn) made = toImages.rotate(made, change.turn, ground());
  if (change.brightness) made = toImages.brightness(made, change.brightness);
  if (change.contrast !== 1) made = toImages.contrast(made, change.contrast);
  if (change.blur) made = toImages.blur(made, change.blur);
  if (change.noise) made = toImages.noise(made, change.noise);
  if (change.cover) {
    const [top, left] = covered || [(made.height - change.cover) / 2, (made.width - change.cover) / 2].map(Math.floor);
    made = toImages.cover(made, top, left, change.cover);
  }
  return made;
}

function makeSliders() {
  const largest = Math.min(program.height || 32, program.width || 32);
  for (const [name, { min, max, step }] of Object.entries(CHANGES)) {
    const slider = make("input");
    Object.assign(slider, { type: "range", min, max: name === "cover" ? Math.floor(largest / 2) : max, step, value: change[name] });
    slider.id = "change_" + name;
    const shown = make("output", "", String(change[name]));
    const text = make("span");
    text.dataset.text = "change_" + name;
    slider.addEventListener("input", () => setChange(name, Number(slider.value)));
    byId("changes").append(make("label", "", text, slider, shown));
  }
  byId("unchange").addEventListener("click", () => {
    for (const [name, { plain = 0 }] of Object.entries(CHANGES)) setChange(name, plain);
    covered = null;
  });
}

function setChange(name, value) {
  change[name] = value;
  byId("change_" + name).value = value;
  byId("change_" + name).nextElementSibling.textContent = value;
  soon();
}

// The square is dragged about over the small image that the network reads.
function coverUnder({ offsetX, offsetY, buttons }) {
  if (!change.cover || !(buttons & 1) || !input) return;
  const canvas = byId("seen");
  const place = (offset, shown, length) => Math.round((offset / shown) * length - change.cover / 2);
  covered = [place(offsetY, canvas.clientHeight, input.height), place(offsetX, canvas.clientWidth, input.width)];
  soon();
}

async function occlude() {
  if (!input) return;
  const image = { ...input, pixels: Float32Array.from(input.pixels) };
  const label = Array.from(before.keys()).reduce((a, b) => (before[b] > before[a] ? b : a));
  const size = Math.max(2, Math.round(Math.min(image.height, image.width) / 5));
  byId("occluded").textContent = say("computing");
  const found = await engine.call("occlusion", image, label, size, Math.max(1, Math.floor(size / 3)), 127.5);
  if (!found) return;
  const canvas = byId("occlusion");
  [canvas.width, canvas.height, canvas.hidden] = [found.columns, found.rows, false];
  const drawn = canvas.getContext("2d").createImageData(found.columns, found.rows);
  found.answers.forEach((share, i) => drawn.data.set(colourAt(share - before[label]), 4 * i));
  canvas.getContext("2d").putImageData(drawn, 0, 0);
  const least = Math.min(...found.answers);
  byId("occluded").textContent = say("occluded", { name: program.classes[label], share: percent(least), size });
}

// Examples from the test images: those that the network gets wrong have a dashed frame.
function makeExamples() {
  if (!lecture || !lecture.examples.truths.length) return;
  const pixels = bytesOf(lecture.examples.pixels);
  const { height, width, channels } = program;
  const size = height * width * channels;
  lecture.examples.truths.forEach((truth, index) => {
    const canvas = make("canvas");
    const image = { pixels: pixels.subarray(index * size, (index + 1) * size), height, width, channels };
    drawImage(canvas, image.pixels, height, width, channels);
    const guess = lecture.examples.predicted[index];
    const choice = make("button", guess === truth ? "" : "wrong", canvas);
    choice.type = "button";
    choice.title = program.classes[truth];
    choice.setAttribute("aria-pressed", "false");
    relabelled.push(() => {
      const key = guess === truth ? "example_right" : "example_wrong";
      choice.setAttribute("aria-label", say(key, { number: index, truth: program.classes[truth], guess: program.classes[guess] }));
    });
    choice.addEventListener("click", () => takeExample(index));
    byId("examples").append(choice);
    choice.image = image;
  });
}

function takeExample(index) {
  const choice = byId("examples").children[index];
  if (!choice) return;
  dropped = choice.image;
  show(choice.firstChild);
  chosen(index);
  soon();
}

function chosen(index) {
  stopCamera();
  example = index;
  Array.from(byId("examples").children).forEach((choice, i) => choice.setAttribute("aria-pressed", String(i === index)));
  restored();
}

let camera = null;
async function startCamera() {
  if (camera) return stopCamera();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320 } });
    chosen(-1);
    const video = make("video");
    Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
    await video.play();
    const canvas = make("canvas");
    camera = { stream, timer: setInterval(() => {
      const size = Math.min(video.videoWidth, video.videoHeight);
      [canvas.width, canvas.height] = [size, size];
      const brush = canvas.getContext("2d", { willReadFrequently: true });
      brush.drawImage(video, (video.videoWidth - size) / 2, (video.videoHeight - size) / 2, size, size, 0, 0, size, size);
      dropped = imageOf(canvas);
      show(canvas);
      soon();
    }, 150) };
    byId("camera").setAttribute("aria-pressed", "true");
  } catch {
    byId("occluded").textContent = say("no_camera");
  }
}

function stopCamera() {
  if (!camera) return;
  clearInterval(camera.timer);
  camera.stream.getTracks().forEach((track) => track.stop());
  camera = null;
  byId("camera").setAttribute("aria-pressed", "false");
}

// The epochs that the run kept: their weights in the page, and the curves with the moment marked.
function makeLearning() {
  if (!lecture || !lecture.epochs.length) return;
  byId("learning").hidden = false;
  const slider = byId("epoch");
  Object.assign(slider, { min: 0, max: lecture.epochs.length, value: lecture.epochs.length });
  slider.addEventListener("input", () => setEpoch(Number(slider.value)));
  relabelled.push(() => tellEpoch());
}

async function setEpoch(index) {
  const last = index >= lecture.epochs.length;
  epoch = last ? null : lecture.epochs[index];
  byId("epoch").value = index;
  tellEpoch();
  const size = weights.byteLength;
  const stored = byId("epochs").textContent;
  if (last) await engine.call("setWeights", weights.slice(0));
  else {
    const each = stored.split(",")[index];
    const bytes = bytesOf(each).buffer;
    if (bytes.byteLength !== size) throw new Error("the weights of an epoch have another size");
    await engine.call("setWeights", bytes);
  }
  untouched = null;
  soon();
  restored();
}

function tellEpoch() {
  byId("epochnumber").textContent = epoch === null ? say("epoch_kept", { epoch: lecture.best ?? "" }) : epoch;
  const names = Object.keys(lecture.curves);
  const metric = names.some((name) => name.endsWith(" accuracy")) ? "accuracy" : "loss";
  const lines = ["training", "validation"].filter((split) => lecture.curves[`${split} ${metric}`]);
  const all = lines.flatMap((split) => lecture.curves[`${split} ${metric}`]).filter((value) => value !== null);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const number = Math.max(...lines.map((split) => lecture.curves[`${split} ${metric}`].length));
  const across = (at) => (100 * at) / Math.max(number, 1);
  const up = (value) => 95 - (90 * (value - low)) / (high - low || 1);
  const paths = lines.map((split) =>
    makeDrawn("path", { class: split, d: "M" + lecture.curves[`${split} ${metric}`].map((value, i) => (value === null ? "" : `${across(i + 1)} ${up(value)}`)).filter(Boolean).join("L") }),
  );
  const now = across(epoch === null ? lecture.best ?? number : epoch);
  byId("chart").replaceChildren(...paths, makeDrawn("line", { x1: now, x2: now, y1: 0, y2: 100 }));
  byId("charted").textContent = say("charted", { metric, low: low.toFixed(3), high: high.toFixed(3) });
}

// Questions: a number is hidden and asked for, and the way to it is shown.
const QUESTIONS = {
  size: (layer) => ({ answer: layer.shape.join("×"), way: sizeWay(layer) }),
  parameters: (layer) => ({ answer: String(layer.params), way: paramsWay(layer) }),
  field: () => {
    const field = selected.frames.find(({ layer }) => layer < 0);
    return field && { answer: `${field.full.height}×${field.full.width}`, way: say("way_field") };
  },
  value: () => ({ answer: selected.found.value, way: `${told(selected.found.sum)} + ${told(selected.found.bias ?? 0)} → ${told(selected.found.value)}` }),
};

function sizeWay({ size, strides, dilation, from, shape }) {
  if (!size || !dilation) return from.map((each) => each.join("×")).join(", ") + " → " + shape.join("×");
  return say("way_size", { from: from[0].join("×"), size: size.join("×"), strides: strides.join("×"), shape: shape.join("×") });
}

function paramsWay({ weights: stored, params }) {
  const parts = Object.entries(stored).map(([name, [, number]]) => `${name} ${number}`);
  return `${parts.join(" + ") || 0} = ${params}`;
}

function ask() {
  if (!selected || !selected.found) return;
  const kinds = Object.keys(QUESTIONS).filter((kind) => kind !== "parameters" || program.layers[selected.layer].params);
  const next = question ? kinds[(kinds.indexOf(question.kind) + 1) % kinds.length] : kinds[0];
  const made = QUESTIONS[next](program.layers[selected.layer]);
  if (!made) return;
  question = { kind: next, ...made };
  const field = make("input");
  Object.assign(field, { type: "text", id: "guess", autocomplete: "off" });
  const verdict = make("span");
  verdict.setAttribute("role", "status");
  const way = make("p", "sum");
  const check = button(say("check"), "check", () => {
    const right = isRight(field.value, question.answer);
    verdict.className = right ? "right" : "false";
    verdict.textContent = say(right ? "right" : "wrong_answer");
  });
  const reveal = button(say("show_way"), "way", () => {
    const answer = typeof question.answer === "number" ? told(question.answer) : question.answer;
    way.textContent = `${answer}: ${question.way}`;
  });
  const more = button(say("next_question"), "next", ask);
  const label = make("label", "", say("question_" + next, { layer: program.layers[selected.layer].name }), " ", field);
  const form = make("div", "panel", label, make("div", "tools", check, reveal, more, verdict), way);
  form.id = "question";
  byId("asked").replaceChildren(form);
}

// Sizes may be written with x or *; values count as right within one percent.
function isRight(text, answer) {
  if (typeof answer === "number") {
    const value = Number(text.replace(",", "."));
    return text.trim() !== "" && Math.abs(value - answer) <= Math.max(Math.abs(answer) * 0.01, 5e-4);
  }
  const plain = (value) => value.toLowerCase().replace(/[x*,\s×]+/g, "×");
  return plain(text) === plain(answer);
}

function setQuiz(on) {
  quizzing = on;
  document.body.classList.toggle("quiz", on);
  byId("quizzing").setAttribute("aria-pressed", String(on));
  if (selected && selected.found) drawUnit();
  if (on) ask();
  else byId("asked").replaceChildren();
  restored();
}

// The view as a link: #layer=c3&unit=2,7,5&example=4&epoch=3&quiz=1&language=de
let restoring = true;
function restored() {
  if (restoring) return;
  const parts = new URLSearchParams();
  if (selected) {
    parts.set("layer", program.layers[selected.layer].name);
    parts.set("unit", selected.at.join(","));
  }
  if (example >= 0) parts.set("example", example);
  if (epoch !== null) parts.set("epoch", epoch);
  for (const [name, { plain = 0 }] of Object.entries(CHANGES)) if (change[name] !== plain) parts.set(name, change[name]);
  if (quizzing) parts.set("quiz", 1);
  try {
    history.replaceState(null, "", "#" + parts.toString().replaceAll("%2C", ","));
  } catch {
    // Some browsers allow that for pages from a server alone.
  }
}

async function restore() {
  restoring = true;
  const parts = new URLSearchParams(location.hash.slice(1));
  if (tables[parts.get("language")]) setLanguage(parts.get("language"));
  for (const name of Object.keys(CHANGES)) if (parts.has(name) && Number.isFinite(Number(parts.get(name)))) setChange(name, Number(parts.get(name)));
  if (lecture && lecture.epochs.length) {
    const index = lecture.epochs.indexOf(Number(parts.get("epoch") ?? NaN));
    if (parts.has("epoch") && index >= 0) await setEpoch(index);
  }
  const number = parts.has("example") ? Number(parts.get("example")) : !dropped && !drawn && lecture && lecture.examples.truths.length ? 0 : -1;
  if (number >= 0) takeExample(number);
  if (number >= 0 || dropped || drawn) await update();
  const layer = program.layers.findIndex(({ name }) => name === parts.get("layer"));
  if (layer >= 0 && flow.maps) {
    const { height, width, channels, flat } = planesOf(program.layers[layer]);
    const given = (parts.get("unit") || "0,0,0").split(",").map(Number);
    const most = flat ? [1, 1, width] : [height, width, channels];
    if (given.length === 3 && given.every((value, i) => Number.isInteger(value) && value >= 0 && value < most[i])) {
      if (!flat) flow.page[layer] = Math.floor(given[2] / TILES);
      label(flow.cards[layer]);
      setFold(flow.cards[layer], false);
      await choose(layer, given);
      flow.cards[layer].card.scrollIntoView({ block: "center" });
    }
  }
  setQuiz(parts.get("quiz") === "1");
  restoring = false;
}

function setLanguage(name) {
  language = name;
  byId("language").value = name;
  translate();
  if (selected && selected.found) drawUnit();
}

for (const name of Object.keys(tables)) byId("language").append(new Option(tables[name].name, name, false, name === language));
byId("language").addEventListener("change", () => setLanguage(byId("language").value));
byId("quizzing").addEventListener("click", () => setQuiz(!quizzing));
byId("link").addEventListener("click", async () => {
  restored();
  try {
    await navigator.clipboard.writeText(location.href);
    byId("link").textContent = say("copied");
    setTimeout(() => (byId("link").textContent = say("copy_link")), 1500);
  } catch {
    prompt(say("copy_link"), location.href);
  }
});
byId("occlude").addEventListener("click", occlude);
byId("camera").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
byId("camera").addEventListener("click", startCamera);
for (const name of ["pointerdown", "pointermove"]) byId("seen").addEventListener(name, coverUnder);
byId("whatif").hidden = hasPlaces || Boolean(program.part);
makeSliders();
makeExamples();
makeCards();
makeLearning();
translate();
clear();
addEventListener("hashchange", restore);
restore();
