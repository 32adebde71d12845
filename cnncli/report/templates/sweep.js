"use strict";
const data = JSON.parse(document.getElementById("report-data").textContent);
const marks = new Map();
document.querySelectorAll("[data-trial]").forEach((mark) => {
  const trial = Number(mark.dataset.trial);
  if (!marks.has(trial)) marks.set(trial, []);
  marks.get(trial).push(mark);
});
const panel = document.createElement("div");
panel.id = "trial-panel";
panel.setAttribute("role", "status");
document.querySelector("main").append(panel);

// One trial stands out in every plot and in the table: the one that is pointed at, else the one that was chosen.
let chosen = null;
let lit = null;

function light(trial) {
  if (trial === lit) return;
  (marks.get(lit) || []).forEach((mark) => mark.classList.remove("on"));
  (marks.get(trial) || []).forEach((mark) => mark.classList.add("on"));
  document.body.classList.toggle("lit", trial !== null);
  lit = trial;
  panel.replaceChildren();
  if (trial === null) return;
  const found = data.trials[trial];
  const head = document.createElement("strong");
  head.textContent = `Trial ${found.number}: ${found.result}`;
  const params = document.createElement("span");
  params.textContent = found.params;
  panel.append(head, params);
}

function startTrials(slider) {
  const output = document.getElementById("trial-chosen");

  function choose(trial) {
    chosen = trial;
    output.textContent = trial === null ? "all" : String(trial);
    slider.setAttribute("aria-valuetext", trial === null ? "all trials" : `trial ${trial}`);
    if (trial !== null) slider.value = trial;
    light(trial);
  }

  const trialOf = (event) => {
    const mark = event.target instanceof Element && event.target.closest("[data-trial]");
    return mark ? Number(mark.dataset.trial) : null;
  };
  document.addEventListener("pointerover", (event) => {
    const trial = trialOf(event);
    light(trial === null ? chosen : trial);
  });
  document.addEventListener("click", (event) => {
    const trial = trialOf(event);
    if (trial !== null) choose(trial === chosen ? null : trial);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") choose(null); });
  slider.addEventListener("input", () => choose(Number(slider.value)));
  document.getElementById("trial-clear").addEventListener("click", () => choose(null));
  slider.setAttribute("aria-valuetext", "all trials");
}

function startTable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];

  function sort(column) {
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head, i) => {
      head.setAttribute("aria-sort", i === column ? (ascending ? "ascending" : "descending") : "none");
    });
    const valueOf = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return ascending ? order : -order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(valueOf(a), valueOf(b))));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", column ? "none" : "ascending");
    button.addEventListener("click", () => sort(column));
  });
}

const slider = document.getElementById("trial-slider");
if (slider) startTrials(slider);
startTable(document.getElementById("trials-table"));
