"use strict";
// One value: the patch, the kernel and the products beside it, sum + bias and the activation, in numbers.
const MOST_TERMS = 4000;
let selected = null;
let unitChannel = 0;
let digits = 4;
let sliding = null;
let changes = 0;

// A number as it is shown; with nine digits a float32 is told exactly.
const told = (value) => (value === null ? "–" : Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : String(value));

async function choose(layer, at) {
  selected = { layer, at };
  unitChannel = 0;
  await showUnit();
  restored();
}

function forget() {
  selected = null;
  flow.frames = [];
  drawFrames();
  byId("unit").replaceChildren(make("p", "", say("choose_a_value")));
}

async function showUnit() {
  const { layer, at } = selected;
  const [found, frames] = await Promise.all([engine.call("explain", "shown", layer, at), engine.call("field", layer, at)]);
  if (!selected || selected.layer !== layer || selected.at !== at) return;
  Object.assign(selected, { found, frames });
  flow.frames = frames;
  drawFrames();
  drawUnit();
}

function drawUnit() {
  const { layer, at, found } = selected;
  const { name, type, shape } = program.layers[layer];
  const focused = document.activeElement && document.activeElement.dataset.keep;
  const where = shape.length === 1 ? say("unit", { unit: at[2] }) : shape.length === 2 ? say("place_1d", { column: at[1], channel: at[2] }) : say("place", { row: at[0], column: at[1], channel: at[2] });
  const parts = [make("h3", "", `${name} (${type}) · ${where}`), unitTools(found)];
  if (found.kind === "window") parts.push(...windowParts(found));
  else if (found.kind === "pool") parts.push(poolPart(found));
  if (found.silenced) parts.push(make("p", "", say("silenced")));
  parts.push(sumLine(found), formulaLine(found), fieldLine(), termsPart(found));
  byId("unit").replaceChildren(...parts);
  // What does not fit is scrolled by keys, too.
  for (const figure of byId("unit").querySelectorAll("figure")) if (figure.scrollWidth > figure.clientWidth) figure.tabIndex = 0;
  if (focused) byId("unit").querySelector(`[data-keep="${focused}"]`)?.focus();
}

function button(text, keep, action) {
  const made = make("button", "", text);
  made.type = "button";
  made.dataset.keep = keep;
  made.addEventListener("click", action);
  return made;
}

function unitTools(found) {
  const tools = make("div", "tools");
  const slide = button(say(sliding ? "stop" : "slide"), "slide", toggleSliding);
  const speed = make("input");
  Object.assign(speed, { type: "range", min: 1, max: 20, value: pace });
  speed.dataset.keep = "speed";
  speed.addEventListener("input", () => (pace = Number(speed.value)));
  const exact = make("select");
  exact.dataset.keep = "digits";
  for (const number of [3, 4, 6, 9]) exact.append(new Option(say("digits", { number }), number, false, number === digits));
  exact.setAttribute("aria-label", say("digits_label"));
  exact.addEventListener("change", () => {
    digits = Number(exact.value);
    drawUnit();
  });
  const off = make("input");
  Object.assign(off, { type: "checkbox", checked: found.silenced });
  off.dataset.keep = "off";
  off.addEventListener("change", async () => {
    await engine.call("silence", selected.layer, selected.at[2], off.checked);
    await changedWeights([selected.layer]);
  });
  tools.append(slide, make("label", "", say("speed"), " ", speed), exact, make("label", "", off, " ", say("switch_off")));
  return tools;
}

function gridOf(caption, rows, cell) {
  const table = make("table");
  rows.forEach((row, y) => {
    const line = table.insertRow();
    row.forEach((value, x) => cell(line.insertCell(), value, y, x));
  });
  return make("figure", "", make("figcaption", "", caption), table);
}

function plain(cell, value) {
  cell.textContent = value === null ? say("padding_mark") : told(value);
  if (value === null) cell.className = "padding";
  else cell.classList.add("secret");
}

// The patch, the kernel and the products of one channel of the input, with what each channel adds.
function windowParts(found) {
  const { window, terms, kernel } = found;
  const [height, width] = window.size;
  const number = terms.length / (height * width);
  unitChannel = Math.min(unitChannel, number - 1);
  const rows = (take) => Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => take(terms[(y * width + x) * number + unitChannel], (y * width + x) * number + unitChannel)));
  const parts = [];
  if (number > 1) {
    const first = window.channels[0];
    const choice = make("select");
    choice.dataset.keep = "channel";
    for (let c = 0; c < number; c++) {
      let sum = 0;
      for (let i = c; i < terms.length; i += number) sum += terms[i].product;
      choice.append(new Option(say("channel_sum", { channel: first + c, sum: quizzing ? "…" : told(sum) }), c, false, c === unitChannel));
    }
    choice.addEventListener("change", () => {
      unitChannel = Number(choice.value);
      drawUnit();
    });
    parts.push(make("p", "", make("label", "", say("input_channel"), " ", choice)));
  }
  const grids = make("div", "grids");
  grids.append(gridOf(say("patch"), rows((term) => (term.at ? term.input : null)), plain));
  grids.append(gridOf(say("kernel"), rows((term, place) => ({ term, place })), (cell, { term, place }) => kernelCell(cell, term, place, kernel)));
  grids.append(gridOf(say("products"), rows((term) => term.product), plain));
  parts.push(grids);
  if (kernel && kernel.name) parts.push(presetTools(kernel));
  return parts;
}

function kernelCell(cell, term, place, kernel) {
  if (!kernel || !kernel.name) return plain(cell, term.weight);
  const field = make("input");
  Object.assign(field, { type: "number", step: "any", value: told(term.weight) });
  field.dataset.keep = "kernel" + place;
  field.setAttribute("aria-label", say("kernel_label", { number: place }));
  field.addEventListener("change", () => {
    const value = Number(field.value);
    if (Number.isFinite(value)) editKernel([[selected.layer, kernel.name, kernel.indexes[place], value]]);
  });
  cell.append(field);
}

function presetTools(kernel) {
  const choice = make("select");
  choice.dataset.keep = "preset";
  choice.append(new Option(say("preset"), ""));
  const { presets, kernel: presetOf } = makeImages();
  for (const name of presets) {
    if (presetOf(name, kernel.height, kernel.width, kernel.channels.length)) choice.append(new Option(say("preset_" + name), name));
  }
  choice.setAttribute("aria-label", say("preset"));
  choice.addEventListener("change", () => {
    const values = choice.value && presetOf(choice.value, kernel.height, kernel.width, kernel.channels.length);
    if (values) editKernel(Array.from(values, (value, i) => [selected.layer, kernel.name, kernel.indexes[i], value]));
  });
  return make("div", "tools", choice);
}

async function editKernel(list) {
  await engine.call("edit", list);
  await changedWeights([...new Set(list.map(([layer]) => layer))]);
}

// After a change of weights: the maps that depend on these layers, and the answer.
async function changedWeights(layers) {
  const answered = await engine.call("update", "shown", layers);
  byId("undo").hidden = !answered.edited;
  if (!hasPlaces) {
    untouched = untouched || { probabilities: before };
    answer(answered.probabilities);
  } else soon();
  showMaps(answered.outputs);
}

byId("undo").addEventListener("click", async () => {
  await engine.call("reset");
  untouched = null;
  byId("undo").hidden = true;
  soon();
});

function poolPart({ window, terms }) {
  const [height, width] = window.size;
  const highest = terms.findIndex(({ weight }) => weight === 1);
  const isMax = terms.filter(({ weight }) => weight !== 0).length === 1 && highest >= 0;
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => terms[y * width + x]));
  return make("div", "grids", gridOf(say("patch"), rows, (cell, term, y, x) => {
    plain(cell, term.at ? term.input : null);
    if (isMax && y * width + x === highest) cell.classList.add("winner");
  }));
}

// The arithmetic in a line: sum + bias = …, then the activation.
function sumLine(found) {
  const { sum, bias, before, activation, value, kind, terms } = found;
  const line = make("p", "sum");
  const part = (text, number, key) => {
    const shown = make("b", "secret", told(number));
    shown.dataset.value = key;
    line.append(text, shown);
  };
  if (["window", "dense", "transposed", "add", "interpolate"].includes(kind)) {
    line.append(say("sum_of", { number: terms.length }));
    part(" = ", sum, "sum");
    if (bias !== null) part(` + ${say("bias")} `, bias, "bias");
    if (bias !== null) part(" = ", before, "before");
  }
  if (activation !== "linear") line.append(` → ${activation}`);
  part(" → ", value, "value");
  return line;
}

// What kinds other than sums compute, with their numbers.
function formulaLine({ formula }) {
  const key = "formula_" + formula.key;
  if (!(key in tables[language])) return "";
  const numbers = Object.entries(formula.numbers).filter(([, value]) => typeof value === "number");
  const line = make("p", "", say(key));
  if (numbers.length) line.append(" ", make("span", "secret", numbers.map(([name, value]) => `${name} = ${told(value)}`).join(", ")));
  return line;
}

function fieldLine() {
  const field = selected.frames.find(({ layer }) => layer < 0);
  if (!field) return "";
  const line = make("p", "", say("sees") + " ");
  const size = make("span", "secret", `${field.full.height}×${field.full.width}`);
  size.id = "field";
  line.append(size, " " + say(field.padded ? "sees_padding" : "sees_pixels"));
  return line;
}

// Every term, the largest first: as many as the value has, in a table that is opened.
function termsPart({ terms, kind }) {
  const details = make("details");
  details.id = "terms";
  details.open = termsOpen || kind === "dense";
  details.append(make("summary", "", say("terms", { number: terms.length })));
  const fill = () => {
    if (!details.open || details.querySelector("table")) return;
    const table = make("table", "secret");
    const head = table.createTHead().insertRow();
    for (const key of ["from", "input", "weight", "product"]) head.append(make("th", "", say(key)));
    const body = table.createTBody();
    const order = terms.map((term, i) => i).sort((a, b) => Math.abs(terms[b].product) - Math.abs(terms[a].product));
    for (const i of order.slice(0, MOST_TERMS)) {
      const { source, at, input, weight, product } = terms[i];
      const row = body.insertRow();
      row.insertCell().textContent = at ? `${source < 0 ? say("image") : program.layers[source].name} ${at.join(", ")}` : say("padding_mark");
      for (const value of [input, weight, product]) row.insertCell().textContent = told(value === undefined ? null : value);
    }
    details.append(table);
    if (order.length > MOST_TERMS) details.append(make("p", "", say("more_terms", { number: order.length - MOST_TERMS })));
  };
  details.addEventListener("toggle", () => {
    if (kind !== "dense") termsOpen = details.open;
    fill();
  });
  fill();
  return details;
}

let termsOpen = false;
let pace = 4;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// Slides the window from place to place; who asked for less motion moves it a step a click.
function toggleSliding() {
  if (calm.matches) return void step();
  if (sliding) {
    clearTimeout(sliding);
    sliding = null;
    return drawUnit();
  }
  const go = async () => {
    await step();
    if (sliding) sliding = setTimeout(go, 1000 / pace);
  };
  sliding = setTimeout(go, 0);
  drawUnit();
}

async function step() {
  if (!selected) return (sliding = null);
  const { layer, at } = selected;
  const { height, width, flat } = planesOf(program.layers[layer]);
  if (flat) return choose(layer, [0, 0, (at[2] + 1) % width]);
  const next = at[0] * width + at[1] + 1;
  const place = next % (height * width);
  return choose(layer, [Math.floor(place / width), place % width, at[2]]);
}
