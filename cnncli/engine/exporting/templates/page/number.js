"use strict";
// One number: what it is made of, in numbers that a reader can add up.
const MOST_CHANNELS = 6;
const MOST_CONTRIBUTIONS = 12;
let explained = null;
let firstChannel = 0;
let allTerms = false;
let sliding = null;

// Takes a unit as the one that is explained and framed.
function choose(layer, unit, moved = false) {
  if (layer !== state.layer) [firstChannel, allTerms] = [0, false];
  [state.layer, state.unit] = [layer, unit];
  reveal(layer, unit[2], moved);
  remember();
  for (const [index, { element }] of cards) element.classList.toggle("chosen", index === layer);
  drawFlow();
  explain();
}

function explain() {
  if (!shown || state.layer === null) return tellNumber();
  const [layer, unit] = [state.layer, state.unit];
  ask("explain", ["shown", layer, unit], (found) => {
    if (layer !== state.layer || unit.some((at, axis) => at !== state.unit[axis])) return;
    explained = found;
    tellNumber();
    tellKernel();
    tellQuiz();
  });
}

function tellNumber() {
  const panel = byId("number");
  byId("walk").hidden = !shown || state.layer === null || !explained;
  if (!shown) return panel.replaceChildren(hint(t("no_image")));
  if (state.layer === null || !explained) return panel.replaceChildren(hint(t("no_unit")));
  if (state.quiz) return panel.replaceChildren(hint(t("hidden_by_quiz")));
  panel.replaceChildren(...[headline(), formula(), ...parts(), ...sumLines(), fieldLine()].filter(Boolean));
  say(`${headlineText()} = ${told(explained.value)}`);
}

function headlineText() {
  const { layer, at } = explained;
  const [rows, columns] = units.shape(layer);
  const key = rows * columns === 1 ? "unit_of_vector" : rows === 1 ? "unit_of_sequence" : "unit_of_map";
  return t(key, { layer: nameOf(layer), row: at[0], column: at[1], channel: at[2] });
}

function headline() {
  return make("h3", { id: "unit-title" }, headlineText(), " = ", valueOf(explained.value, "unit-value"));
}

// A number as it is told, with all its digits where one looks for them.
function valueOf(value, id) {
  const all = String(value);
  return make("data", { value: all, title: all, id: id || null }, told(value));
}

function formula() {
  const { formula: found, activation } = explained;
  const numbers = Object.fromEntries(Object.entries(found.numbers).map(([name, value]) => [name, told(value)]));
  const text = t("formula_" + found.key, { ...numbers, activation });
  return make("p", { class: "formula" }, text);
}

function parts() {
  const { kind } = explained;
  if (kind === "window" && explained.window.size.some((length) => length > 0)) return windowParts();
  if (kind === "pool") return poolParts();
  return [termList()];
}

// The terms as they lie: by tap and channel, so many taps in a line.
function layersOfTerms() {
  const { terms, window } = explained;
  const taps = window.size[0] * window.size[1];
  const channels = taps ? terms.length / taps : 0;
  return { taps, channels, abreast: window.size[1], at: (tap, channel) => terms[tap * channels + channel] };
}

function windowParts() {
  const { taps, channels, abreast, at } = layersOfTerms();
  firstChannel = Math.min(firstChannel, Math.max(0, channels - 1));
  const last = Math.min(firstChannel + MOST_CHANNELS, channels);
  const largest = (what) => largestOf(explained.terms.map((one) => one[what]));
  const source = largestOf(shownOf(explained.window.source));
  const limits = { input: source, weight: largest("weight"), product: largest("product") };
  const rows = [];
  for (let c = firstChannel; c < last; c++) {
    const own = Array.from({ length: taps }, (_, tap) => at(tap, c));
    const sum = own.reduce((all, { product }) => all + product, 0);
    const from = explained.window.channels[0] + c;
    const figure = (what, key) => {
      const caption = make("figcaption", {}, t(key, { channel: from }));
      return make("figure", {}, caption, grid(own, what, limits[what], abreast));
    };
    const total = make("p", {}, "Σ = ", valueOf(sum));
    const signs = ["×", "="].map((sign) => make("span", { "aria-hidden": "true" }, sign));
    const [patch, kernel] = [figure("input", "patch"), figure("weight", "kernel")];
    const products = figure("product", "products");
    rows.push(make("div", { class: "sum" }, patch, signs[0], kernel, signs[1], products, total));
  }
  return [scrolled("sums", ...rows), channelPager(channels, last)];
}

const shownOf = (index) => (index < 0 ? Array.from(shown.image.pixels, (value) => value / 255) : shown.outputs[index]);

function channelPager(channels, last) {
  if (channels <= MOST_CHANNELS) return null;
  const turn = (by) => () => {
    firstChannel = Math.min(Math.max(firstChannel + by * MOST_CHANNELS, 0), channels - 1);
    tellNumber();
    byId(by < 0 ? "inputs-before" : "inputs-after").focus();
  };
  const back = button("inputs-before", "◂", turn(-1), { "aria-label": t("inputs_before") });
  const on = button("inputs-after", "▸", turn(1), { "aria-label": t("inputs_after") });
  [back.disabled, on.disabled] = [firstChannel === 0, last === channels];
  const which = t("inputs_of", { first: firstChannel, last: last - 1, number: channels });
  return make("div", { class: "tools" }, back, which, on);
}

// A table of one of the three: what is read, the weights, the products.
function grid(terms, what, limit, abreast) {
  const table = make("table", { class: "grid " + what });
  for (let start = 0; start < terms.length; start += abreast) {
    const row = table.insertRow();
    for (const term of terms.slice(start, start + abreast)) {
      const cell = row.insertCell();
      const value = term[what];
      cell.append(value === null ? "–" : valueOf(value));
      if (!term.at && what === "input") {
        cell.className = "padding";
        cell.title = t("padding");
      } else if (value !== null) {
        cell.style.background = valueColour(value, limit);
        cell.style.color = inkOn(value, limit);
      }
      if (what === "input" && isWinner(term)) cell.classList.add("winner");
    }
  }
  return table;
}

function isWinner({ at }) {
  const winner = explained.window && explained.window.winner;
  return Boolean(winner && at && at[0] === winner[0] && at[1] === winner[1]);
}

function poolParts() {
  const { terms, window } = explained;
  const limit = largestOf(shownOf(window.source));
  const caption = make("figcaption", {}, t("patch", { channel: window.channels[0] }));
  const table = grid(terms, "input", limit, window.size[1]);
  return [scrolled("sums", make("div", { class: "sum" }, make("figure", {}, caption, table)))];
}

// Of many terms the largest, the others as one sum.
function termList() {
  const { terms } = explained;
  const order = terms.slice().sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const most = allTerms ? terms.length : MOST_CONTRIBUTIONS;
  const few = terms.length <= MOST_CONTRIBUTIONS ? terms : order.slice(0, most);
  const table = make("table", { class: "list" });
  const head = table.createTHead().insertRow();
  for (const key of ["from", "read", "weight", "product"]) head.append(make("th", { scope: "col" }, t(key)));
  const body = table.createTBody();
  for (const { source, at, input, weight, product } of few) {
    const row = body.insertRow();
    row.insertCell().textContent = at ? `${nameOf(source)} [${placeOfTerm(source, at)}]` : t("padding");
    for (const value of [input, weight, product]) row.insertCell().append(valueOf(value));
  }
  const rest = order.slice(few.length).reduce((all, { product }) => all + product, 0);
  if (few.length < terms.length) {
    const row = body.insertRow();
    row.insertCell().textContent = t("others", { number: terms.length - few.length });
    for (let i = 0; i < 2; i++) row.insertCell();
    row.insertCell().append(valueOf(rest));
  }
  const more = () => {
    allTerms = !allTerms;
    tellNumber();
    byId("more-terms").focus();
  };
  if (terms.length <= MOST_CONTRIBUTIONS) return scrolled("scroll", table);
  const key = allTerms ? "fewer_terms" : "all_terms";
  return scrolled("scroll", table, button("more-terms", t(key, { number: terms.length }), more));
}

function placeOfTerm(source, at) {
  const [rows, columns] = units.shape(source);
  return (rows * columns === 1 ? [at[2]] : rows === 1 ? at.slice(1) : at).join(", ");
}

// What may be wider than the window scrolls, by the keyboard too.
function scrolled(name, ...children) {
  return make("div", { class: name, tabindex: 0, role: "group", "aria-label": t("computation") }, ...children);
}

// The last steps in a line: sum + bias, the activation, the value.
function sumLines() {
  const { kind, sum, bias, before, activation, value, silenced, formula: found } = explained;
  const line = make("p", { class: "total" });
  const weighted = ["window", "dense", "add", "normalization", "interpolate"].includes(kind);
  if (weighted) {
    line.append(t("sum"), " ", valueOf(sum, "unit-sum"));
    const added = [` + ${t("bias")} `, valueOf(bias, "unit-bias"), " = ", valueOf(before, "unit-before")];
    if (bias !== null) line.append(...added);
  } else if (kind === "lrn") {
    line.append(`${t("sum")} `, valueOf(sum), ` + ${t("bias")} `, valueOf(bias));
  } else line.append(t("read"), " ", valueOf(explained.terms.length === 1 ? before : sum));
  if (activation !== "linear" && found.key !== "rectify") line.append(` → ${activation}`);
  line.append(" → ", make("b", {}, valueOf(value)));
  if (silenced) line.append(" ", t("is_off"));
  if (!explained.siblings) return [line];
  const values = Array.from(explained.siblings.slice(0, 20), told).join("  ");
  return [line, hint(t("siblings", { values }))];
}

function fieldLine() {
  const field = units.field(state.layer, state.unit).find(({ layer }) => layer === INPUT);
  if (!field) return hint(t("no_field"));
  const { height, width, top, left, full, padded } = field;
  const text = t("field", { height, width, top, left });
  const all = padded ? " " + t("field_padded", { height: full.height, width: full.width }) : "";
  return hint(text + all, { id: "unit-field" });
}

// Slides the window over the map, from left to right and down; who wants no motion goes on a step at a time.
function slide() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (sliding) return stopSliding();
  if (state.layer === null) return;
  if (still) return step();
  const go = () => {
    step();
    sliding = setTimeout(go, 1000 / byId("speed").value);
  };
  go();
  tellSliding();
}

function stopSliding() {
  clearTimeout(sliding);
  sliding = null;
  tellSliding();
}

function tellSliding() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("slide").textContent = t(still ? "slide_step" : sliding ? "slide_stop" : "slide");
}

function step() {
  const [rows, columns, channels] = units.shape(state.layer);
  const [y, x, c] = state.unit;
  const single = rows * columns === 1;
  const next = single ? [0, 0, (c + 1) % channels] : [(y + Math.floor((x + 1) / columns)) % rows, (x + 1) % columns, c];
  choose(state.layer, next);
}
