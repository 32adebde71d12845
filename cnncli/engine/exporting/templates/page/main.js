"use strict";
// The page as a whole: when what is computed, and which panel is open.
let waiting = false;
let lastBase = null;
let lastDropped = null;

function soon() {
  if (waiting) return;
  waiting = true;
  const work = () => {
    waiting = false;
    update();
  };
  // A photo is seen first, then what is found in it: a large network computes for seconds.
  requestAnimationFrame(hasBoxes ? () => setTimeout(work) : work);
}

function update() {
  remember();
  // A blank canvas is no image: a network would name a class for it all the same.
  if (!dropped && !drawn) return showNothing();
  if (!dropped || dropped !== lastDropped) lastBase = network.preprocess(current());
  lastDropped = dropped;
  const image = isChanged() ? changed(lastBase) : lastBase;
  compare(lastBase);
  ask("trace", ["shown", image.pixels], (answered) => receive(image, answered));
}

// Shows what the network made of an image.
function receive(image, answered) {
  shown = { ...answered, image };
  const { probabilities, energy } = answered;
  if (hasBoxes && painted) {
    painted.objects = network.objectsOf(answered, dropped);
    mark();
  } else if (hasMask && painted) {
    painted.mask = network.maskOf(probabilities, dropped, painted.height, painted.width);
    paint();
    legend(painted.mask);
  } else if (!hasPlaces && !program.partial) {
    compare(lastBase);
    answer(probabilities, untouched && untouched.probabilities);
  }
  if (!program.partial) warn(network.doubts(image.pixels, energy));
  drawFlow();
  explain();
  if (!performance.getEntriesByName("first-answer").length) performance.mark("first-answer");
}

function showNothing() {
  for (const id of ["answer", "doubts"]) byId(id).replaceChildren();
  shown = explained = untouched = null;
  drawFlow();
  tellNumber();
  tellQuiz();
}

function say(text) {
  if (byId("told").textContent !== text) byId("told").textContent = text;
}

function buildTabs() {
  byId("tabs").replaceChildren(
    ...PANELS.map((name) => {
      const about = { role: "tab", "aria-controls": "panel-" + name };
      const tab = button("tab-" + name, t("panel_" + name), () => openPanel(name), about);
      tab.addEventListener("keydown", ({ key }) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (!by) return;
        const next = PANELS[(PANELS.indexOf(name) + by + PANELS.length) % PANELS.length];
        openPanel(next);
        byId("tab-" + next).focus();
      });
      return tab;
    }),
  );
}

function openPanel(name) {
  state.panel = name;
  for (const one of PANELS) {
    byId("panel-" + one).hidden = one !== name;
    byId("tab-" + one).setAttribute("aria-selected", String(one === name));
    byId("tab-" + one).tabIndex = one === name ? 0 : -1;
  }
  if (name !== "number" && sliding) stopSliding();
  remember();
}

// Says everything in the language.
function sayAll() {
  translate();
  const key = program.pad ? "about_drawing" : "about_images";
  const partial = program.partial ? " " + t("partial", { layers: program.partial.join(", ") }) : "";
  byId("about").textContent = t(key) + partial;
  pad.setAttribute("aria-label", t(hasBoxes ? "pad_boxes" : hasMask ? "pad_mask" : "pad"));
  nameCards();
  buildTabs();
  buildGallery();
  markExample();
  buildChange();
  buildLearning();
  buildQuiz();
  tellSliding();
  openPanel(state.panel);
  tellNumber();
}

// Shows what a link says.
function follow() {
  const former = state.epoch;
  restore();
  byId("language").value = language;
  sayAll();
  setQuiz(state.quiz);
  if (state.epoch !== former) putWeights();
  else applyEdits();
  if (state.example !== null) takeExample(state.example);
  else update();
  if (state.layer !== null) choose(state.layer, state.unit, true);
}

async function copyLink() {
  const address = location.href.split("#")[0] + link();
  try {
    await navigator.clipboard.writeText(address);
    say(t("copied"));
    byId("copy").textContent = t("copied");
  } catch {
    byId("link").focus();
  }
}

function start() {
  for (const name of Object.keys(TEXTS)) byId("language").append(make("option", { value: name }, TEXTS[name].name));
  byId("language").addEventListener("change", () => {
    [language, state.chosenLanguage] = [byId("language").value, true];
    sayAll();
    if (shown) receive(shown.image, shown);
    remember();
  });
  byId("digits").addEventListener("change", () => {
    digits = Number(byId("digits").value);
    tellNumber();
    drawFlow();
  });
  byId("quizzing").addEventListener("change", () => {
    setQuiz(byId("quizzing").checked);
    if (state.quiz) openPanel("quiz");
  });
  byId("copy").addEventListener("click", copyLink);
  byId("slide").addEventListener("click", slide);
  addEventListener("hashchange", () => location.hash !== written && follow());
  buildFlow();
  listenToFlow();
  listenToInput();
  listenToCover();
  clear();
  follow();
  if (state.example === null && examples.length && !location.hash.includes("example=")) takeExample(0);
}

start();
