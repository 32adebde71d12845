"use strict";
const data = JSON.parse(document.getElementById("report-data").textContent);

function make(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// As report/html_parts.py captions pictures: a file's name is never broken.
function captioned(text) {
  const made = make("figcaption");
  text.split(/([^\s:,]+\.[A-Za-z]\w*)/).forEach((part, i) => {
    made.append(i % 2 ? make("span", part, { class: "file", title: part }) : part);
  });
  return made;
}

function startMatrix(matrix, panel) {
  const buttons = [...matrix.querySelectorAll("button")];
  if (!buttons.length) return;

  function show(button) {
    const { true: truth, predicted } = button.dataset;
    const cell = (data.cells[truth] || {})[predicted];
    buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
    panel.replaceChildren(make("h3", button.getAttribute("aria-label")));
    if (!cell) {
      panel.append(make("p", "Their images are not in this report."));
      return;
    }
    if (cell.images.length < cell.count) {
      const which = truth === predicted ? "the least confident" : "the most confident";
      panel.append(make("p", `${cell.images.length} of ${cell.count}, ${which}.`));
    }
    const gallery = make("div", "", { class: "gallery" });
    for (const [source, caption] of cell.images) {
      const figure = make("figure");
      figure.append(make("img", "", { src: source, alt: "", class: "pixels" }), captioned(caption));
      gallery.append(figure);
    }
    panel.append(gallery);
  }

  // One stop for the tab key; arrow keys go to the next number in their direction.
  function move(from, event) {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...matrix.querySelectorAll("tbody tr")];
    const cell = from.closest("td, th");
    let row = rows.indexOf(cell.parentElement);
    let column = cell.cellIndex;
    while (true) {
      row += step[0];
      column += step[1];
      const next = rows[row] && rows[row].cells[column];
      if (!next) return;
      const button = next.querySelector("button");
      if (button) {
        from.tabIndex = -1;
        button.tabIndex = 0;
        button.focus();
        return;
      }
    }
  }

  buttons.forEach((button, index) => {
    button.tabIndex = index ? -1 : 0;
    button.addEventListener("click", () => {
      buttons.forEach((other) => { other.tabIndex = -1; });
      button.tabIndex = 0;
      show(button);
    });
    button.addEventListener("keydown", (event) => move(button, event));
  });
}

function startReplay(slider) {
  const epoch = document.getElementById("replay-epoch");
  const pictures = document.querySelectorAll("#replay-pictures img");
  const predictions = document.querySelectorAll("#replay-predictions .prediction");
  const play = document.getElementById("replay-play");
  let timer = 0;

  function show() {
    const frame = data.replay[slider.value];
    const text = frame.epoch ? `after epoch ${frame.epoch}` : "before training";
    epoch.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    pictures.forEach((picture, index) => { picture.src = frame.pictures[index]; });
    predictions.forEach((prediction, index) => {
      prediction.textContent = frame.predictions[index].text;
      prediction.className = `prediction ${frame.predictions[index].right ? "right" : "wrong"}`;
    });
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }

  function next() {
    if (slider.value === slider.max) return stop();
    slider.value = Number(slider.value) + 1;
    show();
  }

  slider.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    show();
    play.textContent = "Pause";
    timer = setInterval(next, 500);
  });
  show();
}

const matrix = document.getElementById("matrix");
if (matrix) startMatrix(matrix, document.getElementById("cell-panel"));
const slider = document.getElementById("replay-slider");
if (slider) startReplay(slider);
