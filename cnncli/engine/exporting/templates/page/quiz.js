"use strict";
// A quiz hides the numbers, asks for them, checks the answer and shows the way to it.
const NEAR = 0.01;
const QUESTIONS = { size: sizeQuestion, parameters: parametersQuestion, value: valueQuestion, field: fieldQuestion };
let question = "size";

const SIZED = new Set(["conv", "depthwise", "separable", "pool"]);

function sizeQuestion(layer, index) {
  const [rows, columns, channels] = units.shape(index);
  const right = [rows, columns, channels];
  if (!SIZED.has(layer.kind)) return { right, way: t("way_same", { size: shapeText(index) }) };
  const given = units.shape(layer.inputs[0]);
  const axis = (i) => {
    const extent = (layer.size[i] - 1) * layer.dilation[i] + 1;
    const length = [rows, columns][i];
    const padding = Math.max(0, (length - 1) * layer.strides[i] + extent - given[i]);
    return t("way_size", { input: given[i], padding, extent, stride: layer.strides[i], output: length });
  };
  const lines = given[0] === 1 && rows === 1 ? [axis(1)] : [axis(0), axis(1)];
  return { right, way: lines.join("\n") + "\n" + t("way_channels", { number: channels }) };
}

function parametersQuestion(layer) {
  const sizes = Object.entries(layer.weights).map(([name, values]) => `${name}: ${values.length}`);
  const [height, width] = layer.size || [1, 1];
  const kernel = layer.weights.kernel;
  const outputs = layer.shape[layer.shape.length - 1];
  const each = kernel ? kernel.length / (height * width * outputs) : 0;
  const bias = layer.weights.bias ? outputs : 0;
  const formed = kernel && ["conv", "transposed", "dense"].includes(layer.kind);
  const total = layer.params;
  const arrays = t("way_arrays", { sizes: sizes.join(", ") || "–", total });
  const way = formed ? t("way_parameters", { height, width, each, outputs, bias, total }) : arrays;
  return { right: [total], way };
}

function valueQuestion() {
  if (!explained || explained.layer !== state.layer) return null;
  const { sum, bias, before, activation, value, terms } = explained;
  const first = terms.filter(({ product }) => product).slice(0, 6);
  const some = first.map(({ input, weight }) => `${told(input)} · ${told(weight)}`);
  const sums = some.join(" + ") + (terms.length > some.length ? " + …" : "");
  const numbers = { sum: told(sum), bias: told(bias || 0), before: told(before), value: told(value) };
  return { right: [value], near: true, way: t("way_value", { sums, activation, ...numbers }) };
}

function fieldQuestion() {
  const fields = units.field(state.layer, state.unit);
  const input = fields.find(({ layer }) => layer === INPUT);
  if (!input) return null;
  const way = fields.map(({ layer, full }) => `${nameOf(layer)}: ${full.height} × ${full.width}`).join(" ← ");
  return { right: [input.full.height, input.full.width], way };
}

function buildQuiz() {
  const options = Object.keys(QUESTIONS).map((name) => make("option", { value: name }, t("ask_" + name)));
  const chosen = make("select", { id: "question" }, ...options);
  chosen.value = question;
  chosen.addEventListener("change", () => {
    question = chosen.value;
    tellQuiz();
  });
  const asked = make("label", {}, t("question"), " ", chosen);
  const part = make("div", { class: "question" }, hint(t("quiz_hint")), asked, make("div", { id: "asked" }));
  byId("panel-quiz").replaceChildren(part);
  tellQuiz();
}

function tellQuiz() {
  const part = byId("asked");
  if (!part) return;
  if (state.layer === null) return part.replaceChildren(hint(t("no_unit")));
  const found = QUESTIONS[question](network.layers[state.layer], state.layer);
  if (!found) return part.replaceChildren(hint(t("no_image")));
  const [y, x, c] = state.unit;
  const text = t("question_" + question, { layer: nameOf(state.layer), row: y, column: x, channel: c });
  const input = make("input", { type: "text", id: "guess", autocomplete: "off", "aria-describedby": "quiz-form" });
  const verdict = make("p", { id: "verdict", role: "status" });
  const way = make("pre", { id: "way", hidden: true }, found.way);
  way.style.whiteSpace = "pre-wrap";
  const check = (event) => {
    event.preventDefault();
    const right = isRight(input.value, found);
    verdict.className = right ? "right" : "wrong";
    verdict.textContent = (right ? "✓ " : "✗ ") + t(right ? "is_right" : "is_wrong");
  };
  const show = () => {
    way.hidden = false;
    verdict.className = "";
    verdict.textContent = t("answer_is", { answer: found.right.map(told).join(" × ") });
  };
  const buttons = [make("button", {}, t("check")), " ", button("show-way", t("show_way"), show)];
  const form = make("form", { on: { submit: check } }, make("label", {}, text, " ", input), " ", ...buttons);
  part.replaceChildren(form, make("p", { class: "hint", id: "quiz-form" }, t("form_" + question)), verdict, way);
}

// Takes "28 x 28 x 6", "28×28×6", "28, 28, 6"; a value within one hundredth, with a comma or a point.
function isRight(text, { right, near }) {
  if (near) {
    const guess = Number(text.trim().replace(",", "."));
    return text.trim() !== "" && Math.abs(guess - right[0]) <= NEAR * Math.max(1, Math.abs(right[0]));
  }
  const guesses = (text.match(/\d+/g) || []).map(Number);
  const needed = right.length === 3 && right[0] * right[1] === 1 && guesses.length === 1 ? right.slice(2) : right;
  const line = right.length === 3 && right[0] === 1 && guesses.length === 2 ? right.slice(1) : needed;
  return guesses.length === line.length && guesses.every((guess, i) => guess === line[i]);
}

function setQuiz(on) {
  state.quiz = on;
  byId("quizzing").checked = on;
  document.body.classList.toggle("quizzing", on);
  remember();
  drawFlow();
  tellNumber();
  tellQuiz();
}
