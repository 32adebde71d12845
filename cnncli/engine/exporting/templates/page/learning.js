"use strict";
// Learning: the weights after every epoch that the run kept, and its curves with the moment marked.
const CURVE = { width: 420, height: 190, left: 46, right: 10, top: 10, bottom: 26 };
let playing = null;

function buildLearning() {
  const metrics = material.metrics || [];
  const parts = [];
  if (epochs.length) {
    const slider = make("input", { type: "range", id: "epoch", min: 0, max: epochs.length - 1, step: 1 });
    slider.addEventListener("input", () => setEpoch(epochs[slider.value].epoch));
    const play = button("epoch-play", t("play"), playEpochs);
    const back = button("epoch-own", t("own_weights"), () => setEpoch(null));
    const moment = make("output", { id: "epoch-told", for: "epoch" });
    parts.push(make("div", { class: "tools" }, make("label", {}, t("epoch"), " ", slider), moment, play, back));
    if (material.thinned) parts.push(make("p", { class: "hint" }, t("epochs_thinned", { number: epochs.length })));
  } else parts.push(hint(t("no_replay")));
  const names = Object.keys((metrics[0] && (metrics[0].validation || metrics[0].train)) || {});
  parts.push(make("div", { class: "curves" }, ...names.slice(0, 4).map((name) => curve(name, metrics))));
  byId("panel-learning").replaceChildren(...parts);
  tellEpoch();
}

function curve(name, metrics) {
  const { width, height, left, right, top, bottom } = CURVE;
  const has = (split) => (line) => line[split] && Number.isFinite(line[split][name]);
  const series = ["train", "validation"].map((split) => [split, metrics.filter(has(split))]);
  const all = series.flatMap(([split, lines]) => lines.map((line) => line[split][name]));
  if (!all.length) return null;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const last = Math.max(1, ...metrics.map(({ epoch }) => epoch));
  const x = (epoch) => left + ((width - left - right) * epoch) / last;
  const y = (value) => top + (height - top - bottom) * (high > low ? (high - value) / (high - low) : 0.5);
  const points = (split, lines) => lines.map((line) => `${x(line.epoch)},${y(line[split][name])}`).join("L");
  const path = (split, lines) => drawing("path", { class: "curve " + split, d: "M" + points(split, lines) });
  const words = [
    drawing("text", { x: left - 4, y: y(high) + 8, "text-anchor": "end" }, told(high)),
    drawing("text", { x: left - 4, y: y(low), "text-anchor": "end" }, told(low)),
    drawing("text", { x: left, y: height - 6 }, "0"),
    drawing("text", { x: width - right, y: height - 6, "text-anchor": "end" }, `${t("epoch")} ${last}`),
  ];
  const base = height - bottom;
  const axis = drawing("path", { class: "axis", fill: "none", d: `M${left},${top}V${base}H${width - right}` });
  const place = { "data-width": width - left - right, "data-left": left, "data-last": last };
  const moment = drawing("line", { class: "moment", y1: top, y2: base, ...place });
  const lines = series.filter(([, found]) => found.length).map(([split, found]) => path(split, found));
  const about = { role: "img", "aria-label": t("curve_of", { name }) };
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  const picture = drawing("svg", { ...size, ...about }, axis, ...lines, moment, ...words);
  return make("figure", {}, make("figcaption", {}, t("curve_of", { name })), picture);
}

const epochShown = () => state.epoch ?? material.own_epoch ?? null;

function tellEpoch() {
  const moment = epochShown();
  const slider = byId("epoch");
  if (slider) {
    const place = epochs.findIndex(({ epoch }) => epoch === moment);
    slider.value = place < 0 ? epochs.length - 1 : place;
    byId("epoch-told").textContent = state.epoch === null ? t("own_weights") : t("after_epoch", { epoch: state.epoch });
    byId("epoch-own").disabled = state.epoch === null;
    byId("epoch-play").textContent = t(playing ? "stop" : "play");
  }
  for (const line of byId("panel-learning").querySelectorAll(".moment")) {
    const { width, left, last } = line.dataset;
    const x = Number(left) + (Number(width) * (moment || 0)) / Number(last);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    line.style.display = moment === null ? "none" : "";
  }
}

// Puts the weights of an epoch into the page, null for those that the run is exported with.
function setEpoch(epoch) {
  state.epoch = epoch;
  putWeights();
  tellEpoch();
  remember();
  update();
}

function putWeights() {
  const found = epochs.find((one) => one.epoch === state.epoch);
  const weights = found ? bytesOf(found.weights).buffer : undefined;
  network.setWeights(weights);
  ask("setWeights", [weights]);
  applyEdits();
}

function playEpochs() {
  if (playing) {
    clearTimeout(playing);
    playing = null;
    return tellEpoch();
  }
  let place = 0;
  const go = () => {
    setEpoch(epochs[place++].epoch);
    playing = place < epochs.length ? setTimeout(go, 500) : null;
    tellEpoch();
  };
  go();
}
