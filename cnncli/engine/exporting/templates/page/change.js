"use strict";
// What if: another image, another kernel, a channel less.
const LIMITS = () => {
  const { height, width } = program;
  return {
    down: [-Math.floor(height / 2), Math.floor(height / 2), 1],
    right: [-Math.floor(width / 2), Math.floor(width / 2), 1],
    turn: [-180, 180, 5],
    brightness: [-128, 128, 4],
    contrast: [0, 3, 0.1],
    blur: [0, 5, 0.25],
    noise: [0, 100, 5],
    cover: [0, Math.max(height, width), 1],
    top: [0, height - 1, 1],
    left: [0, width - 1, 1],
  };
};
let untouched = null;
let editedChannel = 0;

// What comes in from outside is as in the image's own corner: black digits' ground stays black.
const ground = () => (program.dark ? 0 : 255);

function changed(base) {
  const { down, right, turn, brightness, contrast, blur, noise, cover, top, left } = state.changes;
  let image = { ...base, pixels: Float32Array.from(base.pixels) };
  if (turn) image = images.rotate(image, turn, ground());
  if (down || right) image = images.shift(image, down, right, ground());
  if (brightness) image = images.brightness(image, brightness);
  if (contrast !== 1) image = images.contrast(image, contrast);
  if (blur) image = images.blur(image, blur);
  if (noise) image = images.noise(image, noise);
  if (cover) image = images.cover(image, top, left, cover);
  return image;
}

function buildChange() {
  const limits = LIMITS();
  const sliders = Object.keys(NO_CHANGES).map((name) => {
    const [min, max, step] = limits[name];
    const input = make("input", { type: "range", id: "change-" + name, min, max, step });
    input.addEventListener("input", () => {
      state.changes[name] = Number(input.value);
      tellChanges();
      remember();
      soon();
    });
    return make("label", {}, t("change_" + name), input, make("output", { for: "change-" + name }));
  });
  const part = (key, ...children) => make("fieldset", {}, make("legend", {}, t(key)), ...children);
  const occlude = button("occlude", t("occlusion"), occlusion);
  const undo = button("undo", t("undo_all"), undoAll);
  const progress = make("p", { id: "occlusion-told", role: "status" });
  const map = make("canvas", { id: "occlusion-map", role: "img", hidden: true });
  byId("panel-change").replaceChildren(
    make("div", { class: "tools" }, undo, hint("", { id: "change-told" })),
    part("change_image", hint(t("change_hint")), make("div", { class: "fields" }, ...sliders)),
    part("change_kernel", make("div", { id: "kernel" })),
    ...(hasPlaces || program.partial ? [] : [part("occlusion", hint(t("occlusion_hint")), occlude, progress, map)]),
  );
  tellChanges();
  tellKernel();
}

function tellChanges() {
  for (const [name, value] of Object.entries(state.changes)) {
    const input = byId("change-" + name);
    if (!input) return;
    input.value = value;
    input.nextSibling.textContent = told(value);
  }
  byId("undo").disabled = !isChanged() && !isEdited();
  byId("change-told").textContent = isEdited() ? t("edited", { number: state.weights.size, off: state.off.size }) : "";
}

function undoAll() {
  state.changes = { ...NO_CHANGES };
  state.weights.clear();
  state.off.clear();
  ask("reset", []);
  tellChanges();
  tellKernel();
  remember();
  update();
}

// A square is moved over the image by dragging it.
function listenToCover() {
  const { maps } = cards.get(INPUT);
  const drag = (event) => {
    if (!(event.buttons & 1) || !state.changes.cover || !shown) return;
    const unit = unitAt(INPUT, event);
    if (!unit) return;
    const half = Math.floor(state.changes.cover / 2);
    [state.changes.top, state.changes.left] = [unit[0] - half, unit[1] - half];
    tellChanges();
    remember();
    soon();
  };
  maps.addEventListener("pointerdown", drag);
  maps.addEventListener("pointermove", drag);
  maps.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!steps || !state.changes.cover) return;
    event.preventDefault();
    state.changes.top += steps[0];
    state.changes.left += steps[1];
    tellChanges();
    remember();
    soon();
  });
}

// The probability of the most probable class while a square covers one place after the other.
async function occlusion() {
  if (!shown || !shown.probabilities) return;
  const { image, probabilities } = shown;
  const label = probabilities.indexOf(Math.max(...probabilities));
  const size = Math.max(1, Math.round(Math.max(image.height, image.width) / 6));
  const stride = Math.max(1, Math.round(size / 3));
  const tell = (text) => (byId("occlusion-told").textContent = text);
  tell(t("computing"));
  const asked = [image, label, size, stride, 127.5];
  const found = await askLong("occlusion", asked, ({ done, total }) => tell(percent(done / total)));
  if (!found) return;
  tell(t("occlusion_told", { name: program.classes[label], size, share: percent(probabilities[label]) }));
  drawOcclusion(found, probabilities[label]);
}

function drawOcclusion({ rows, columns, answers }, usual) {
  const canvas = byId("occlusion-map");
  canvas.hidden = false;
  canvas.setAttribute("aria-label", t("occlusion"));
  [canvas.width, canvas.height] = [columns, rows];
  const brush = canvas.getContext("2d");
  const limit = Math.max(...Array.from(answers, (share) => Math.abs(usual - share)), 0.01);
  for (let i = 0; i < answers.length; i++) {
    brush.fillStyle = valueColour(usual - answers[i], limit);
    brush.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  }
}

// From here on: kernels and channels.
function tellKernel() {
  const part = byId("kernel");
  if (!part) return;
  if (state.layer === null) return part.replaceChildren(hint(t("no_unit")));
  const [layer, channel] = [state.layer, state.unit[2]];
  const place = `${layer}:${channel}`;
  const off = make("input", { type: "checkbox", id: "channel-off" });
  off.checked = state.off.has(place);
  off.addEventListener("change", () => silence(layer, channel, off.checked));
  const name = t("kernel_of", { layer: nameOf(layer), channel });
  const title = make("p", {}, name, " ", make("label", {}, off, " ", t("switch_off")));
  const focused = document.activeElement && document.activeElement.id;
  ask("kernel", [layer, channel], (found) => {
    const isThere = found && found.indexes;
    part.replaceChildren(title, ...(isThere ? kernelParts(layer, found) : [hint(t("no_kernel"))]));
    if (focused && focused !== document.activeElement.id && byId(focused)) byId(focused).focus();
  });
}

function kernelParts(layer, kernel) {
  const { height, width, channels, values, indexes, name } = kernel;
  const number = channels.length;
  editedChannel = Math.min(editedChannel, number - 1);
  const options = channels.map((from, i) => make("option", { value: i }, from));
  const chosen = make("select", { id: "kernel-channel" }, ...options);
  chosen.value = editedChannel;
  chosen.addEventListener("change", () => {
    editedChannel = Number(chosen.value);
    tellKernel();
  });
  const fitting = units.shape(layer)[0] * units.shape(layer)[1] > 1 ? images.presets : [];
  const presets = fitting.map((preset) => [preset, images.kernel(preset, height, width, number)]);
  const buttons = presets
    .filter(([, numbers]) => numbers)
    .map(([preset, numbers]) => {
      const set = () => edit(layer, Array.from(indexes, (index, i) => [name, index, numbers[i]]));
      return button("preset-" + preset, t("preset_" + preset), set);
    });
  const limit = largestOf(values);
  const table = make("table", { class: "grid" });
  for (let row = 0; row < height; row++) {
    const line = table.insertRow();
    for (let column = 0; column < width; column++) {
      const i = (row * width + column) * number + editedChannel;
      const about = t("weight_at", { row, column, channel: channels[editedChannel] });
      const input = make("input", { type: "number", step: "any", id: `weight-${row}-${column}`, "aria-label": about });
      input.value = Number(values[i].toPrecision(6));
      input.style.borderColor = valueColour(values[i], limit);
      input.addEventListener("change", () => {
        const value = input.valueAsNumber;
        if (Number.isFinite(value)) edit(layer, [[name, indexes[i], value]]);
      });
      line.insertCell().append(input);
    }
  }
  const select = make("label", {}, t("input_channel"), " ", chosen);
  return [make("div", { class: "tools" }, number > 1 ? select : null, ...buttons), scrolled("scroll", table)];
}

function edit(layer, changes) {
  for (const [name, index, value] of changes) state.weights.set(`${layer}:${name}:${index}`, value);
  ask("edit", [changes.map(([name, index, value]) => [layer, name, index, value])]);
  afterEdit([layer]);
}

function silence(layer, channel, off) {
  state.off[off ? "add" : "delete"](`${layer}:${channel}`);
  ask("silence", [layer, channel, off]);
  afterEdit([layer]);
}

// Computes only what depends on the layers.
function afterEdit(layers) {
  tellChanges();
  remember();
  if (!shown) return;
  ask("update", ["shown", layers], (found) => {
    const outputs = shown.outputs.map((values, i) => found.outputs[i] || values);
    receive(shown.image, { ...found, outputs });
  });
  tellKernel();
}

// Brings the network to what the link says.
function applyEdits() {
  ask("reset", []);
  if (state.weights.size) ask("edit", [Array.from(state.weights, ([place, value]) => [...weightOf(place), value])]);
  for (const place of state.off) ask("silence", [...channelOf(place), true]);
}

// Answers for the image and the weights as they were, beside the answer for what was changed.
function compare(base) {
  if (hasPlaces || program.partial || (!isChanged() && !isEdited())) {
    untouched = null;
    return;
  }
  const same = untouched && untouched.base === base && untouched.epoch === state.epoch;
  if (same) return;
  untouched = { base, epoch: state.epoch, probabilities: network.trace(base.pixels).probabilities };
}
