"use strict";
// What is looked at, and the link that restores it.
const NO_CHANGES = {
  down: 0,
  right: 0,
  turn: 0,
  brightness: 0,
  contrast: 1,
  blur: 0,
  noise: 0,
  cover: 0,
  top: 0,
  left: 0,
};
const PANELS = ["number", "change", "learning", "quiz"];
const MOST_EDITS_IN_A_LINK = 150;
const state = {
  example: null,
  layer: null,
  unit: null,
  panel: "number",
  epoch: null,
  quiz: false,
  changes: { ...NO_CHANGES },
  weights: new Map(),
  off: new Set(),
  chosenLanguage: false,
};

const isChanged = () => Object.keys(NO_CHANGES).some((name) => matters(name));
const isEdited = () => state.weights.size > 0 || state.off.size > 0;
const matters = (name) =>
  state.changes[name] !== NO_CHANGES[name] && (state.changes.cover > 0 || !["top", "left"].includes(name));
const indexOf = (name) => network.layers.findIndex((layer) => layer.name === name);

function link() {
  const parts = new URLSearchParams();
  if (state.example !== null) parts.set("example", state.example);
  if (state.layer !== null) parts.set("layer", network.layers[state.layer].name);
  if (state.unit) parts.set("unit", state.unit.join(","));
  if (state.panel !== "number") parts.set("panel", state.panel);
  if (state.epoch !== null) parts.set("epoch", state.epoch);
  for (const name of Object.keys(NO_CHANGES)) if (matters(name)) parts.set(name, state.changes[name]);
  if (state.off.size) parts.set("off", Array.from(state.off).join(","));
  if (state.weights.size && state.weights.size <= MOST_EDITS_IN_A_LINK) {
    parts.set("edit", Array.from(state.weights, ([place, value]) => `${place}:${value}`).join(","));
  }
  if (state.quiz) parts.set("quiz", 1);
  if (state.chosenLanguage) parts.set("lang", language);
  return "#" + parts.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
}

let written = "";
function remember() {
  written = link();
  byId("link").href = written;
  if (written === location.hash || (written === "#" && !location.hash)) return;
  history.replaceState(null, "", written);
}

// Takes what a link says as far as this page has it; what it does not say is as at the beginning.
function restore() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const numbers = (name) => (parts.get(name) || "").split(",").filter(Boolean).map(Number);
  const within = (value, number) => Number.isInteger(value) && value >= 0 && value < number;
  if (TEXTS[parts.get("lang")]) [language, state.chosenLanguage] = [parts.get("lang"), true];
  const example = Number(parts.get("example"));
  state.example = parts.has("example") && within(example, examples.length) ? example : null;
  const layer = indexOf(parts.get("layer"));
  state.layer = layer < 0 ? null : layer;
  const unit = numbers("unit");
  const shape = layer < 0 ? [] : units.shape(layer);
  const padded = [0, 0, 0].concat(unit).slice(-3);
  state.unit = layer >= 0 && unit.length && padded.every((at, axis) => within(at, shape[axis])) ? padded : null;
  if (state.layer !== null && !state.unit) state.unit = shape.map((length) => length >> 1);
  state.panel = PANELS.includes(parts.get("panel")) ? parts.get("panel") : "number";
  const epoch = Number(parts.get("epoch"));
  state.epoch = parts.has("epoch") && epochs.some((one) => one.epoch === epoch) ? epoch : null;
  for (const name of Object.keys(NO_CHANGES)) {
    const value = Number(parts.get(name));
    state.changes[name] = parts.has(name) && Number.isFinite(value) ? value : NO_CHANGES[name];
  }
  state.quiz = parts.get("quiz") === "1";
  state.off = new Set((parts.get("off") || "").split(",").filter((place) => channelOf(place)));
  const edits = (parts.get("edit") || "").split(",").map((part) => part.match(/^(\d+:\w+:\d+):(-?[\d.e+-]+)$/));
  const known = edits.filter((found) => found && weightOf(found[1]));
  state.weights = new Map(known.map((found) => [found[1], Number(found[2])]));
}

// "3:5" is channel 5 of layer 3; null where there is no such one.
function channelOf(place) {
  const [layer, channel] = place.split(":").map(Number);
  if (!network.layers[layer] || !(channel >= 0 && channel < units.shape(layer)[2])) return null;
  return [layer, channel];
}

// "3:kernel:17" is number 17 of the kernel of layer 3.
function weightOf(place) {
  const [layer, name, index] = place.split(":");
  const found = network.layers[layer] && network.layers[layer].weights[name];
  return found && Number(index) < found.length ? [Number(layer), name, Number(index)] : null;
}
