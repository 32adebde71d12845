"use strict";
// Every layer's maps, laid out as the network is; one value of them is chosen by mouse or keys.
const TILES = 32;
const flow = { maps: null, cards: [], scale: 1, page: program.layers.map(() => 0), folded: new Set(), frames: [] };
const darkness = matchMedia("(prefers-color-scheme: dark)");

// Height, width and channels of a layer's output; a vector is one row of numbers in one channel.
function planesOf({ shape }) {
  if (shape.length === 1) return { height: 1, width: shape[0], channels: 1, flat: true };
  return { height: shape.length === 2 ? 1 : shape[0], width: shape[shape.length - 2], channels: shape[shape.length - 1], flat: false };
}

// Where a unit stands: [y, x, c] of the maps, as the network counts.
const unitAt = (layer, y, x, c) => (planesOf(layer).flat ? [0, 0, x] : [y, x, c]);

// Rows by the longest way from the input; a branch goes on in its own column, the others to the right of it.
function placed() {
  const ranks = [];
  const lanes = [];
  const taken = new Set();
  const goesOn = new Set();
  program.layers.forEach(({ inputs }, index) => {
    const before = inputs.filter((source) => source >= 0);
    ranks[index] = 1 + Math.max(-1, ...before.map((source) => ranks[source]));
    const from = before.length ? before.reduce((a, b) => (lanes[b] < lanes[a] ? b : a)) : -1;
    let lane = from < 0 ? 0 : lanes[from];
    const free = () => {
      for (let rank = from < 0 ? 0 : ranks[from] + 1; rank <= ranks[index]; rank++) if (taken.has(rank + " " + lane)) return false;
      return true;
    };
    if (before.length === 1 && goesOn.has(from)) lane++;
    while (!free()) lane++;
    if (before.length === 1) goesOn.add(from);
    lanes[index] = lane;
    for (let rank = from < 0 ? 0 : ranks[from] + 1; rank <= ranks[index]; rank++) taken.add(rank + " " + lane);
  });
  return { ranks, lanes };
}

function makeCards() {
  const { ranks, lanes } = placed();
  program.layers.forEach((layer, index) => {
    const card = make("div", "layer");
    card.style.gridRow = ranks[index] + 1;
    card.style.gridColumn = lanes[index] + 1;
    const fold = make("button", "fold");
    fold.type = "button";
    const name = make("b", "", layer.name);
    const about = make("span", "about");
    const canvas = make("canvas");
    canvas.id = "layer" + index;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    const frames = makeDrawn("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    const map = make("div", "map", canvas, frames);
    const pager = make("div", "pager tools");
    card.append(fold, name, about, map, pager);
    byId("layers").append(card);
    const entry = { layer, index, card, fold, about, canvas, frames, map, pager };
    flow.cards.push(entry);
    fold.addEventListener("click", () => setFold(entry, !flow.folded.has(index)));
    canvas.addEventListener("click", (event) => {
      const unit = unitUnder(entry, event);
      if (unit) choose(index, unit);
    });
    canvas.addEventListener("keydown", (event) => walk(entry, event));
    canvas.addEventListener("focus", () => {
      if (canvas.matches(":focus-visible") && (!selected || selected.layer !== index) && flow.maps) choose(index, firstUnit(layer, index));
    });
    seenCards.observe(card);
    setFold(entry, false);
  });
  relabelled.push(() => flow.cards.forEach(label));
}

const firstUnit = (layer, index) => unitAt(layer, 0, 0, flow.page[index] * TILES);

function label({ layer, index, about, canvas, pager, fold }) {
  const { channels } = planesOf(layer);
  const size = make("span", "secret", layer.shape.join("×"));
  const params = make("span", "secret", layer.params.toLocaleString(language));
  about.replaceChildren(layer.type, " ", size, " · ", params, " " + say("parameters"));
  canvas.setAttribute("aria-label", say("map_label", { layer: layer.name, type: layer.type }));
  fold.setAttribute("aria-label", say("fold", { layer: layer.name }));
  pager.hidden = channels <= TILES;
  if (pager.hidden) return;
  const first = flow.page[index] * TILES;
  const turn = (by) => {
    const button = make("button", "", by < 0 ? "◀" : "▶");
    button.type = "button";
    button.disabled = first + by * TILES < 0 || first + by * TILES >= channels;
    button.setAttribute("aria-label", say(by < 0 ? "channels_before" : "channels_after", { layer: layer.name }));
    button.addEventListener("click", () => turnPage(index, flow.page[index] + by));
    return button;
  };
  pager.replaceChildren(turn(-1), say("channels_of", { first, last: Math.min(first + TILES, channels) - 1, all: channels }), turn(1));
}

function turnPage(index, page) {
  flow.page[index] = page;
  label(flow.cards[index]);
  drawMap(flow.cards[index]);
  drawFrames();
}

function setFold(entry, isFolded) {
  flow.folded[isFolded ? "add" : "delete"](entry.index);
  entry.fold.textContent = isFolded ? "▸" : "▾";
  entry.fold.setAttribute("aria-expanded", String(!isFolded));
  entry.map.hidden = isFolded;
  entry.pager.hidden = isFolded || planesOf(entry.layer).channels <= TILES;
  if (!isFolded) drawMap(entry);
  drawEdges();
}

// Lines from each layer to those that read it.
function drawEdges() {
  if (flow.cards.length < program.layers.length) return;
  const box = byId("layers").getBoundingClientRect();
  const boxes = flow.cards.map(({ card }) => card.getBoundingClientRect());
  const lines = [];
  program.layers.forEach(({ inputs }, index) => {
    for (const source of inputs) {
      if (source < 0) continue;
      const [from, to] = [boxes[source], boxes[index]];
      const [x, y] = [from.left - box.left + Math.min(from.width, 120) / 2, from.bottom - box.top];
      const [u, v] = [to.left - box.left + Math.min(to.width, 120) / 2, to.top - box.top];
      // A line that passes other layers goes round them on the left.
      const passes = boxes.some((other, i) => i > source && i < index && other.left < from.left + 60 && other.right > from.left && x === u);
      const bend = passes ? -(Math.min(from.width, 120) / 2 + 24) / 0.75 : 0;
      lines.push(makeDrawn("path", { d: `M${x} ${y} C${x + bend} ${y + 18} ${u + bend} ${v - 18} ${u} ${v}` }));
    }
  });
  byId("edges").replaceChildren(...lines);
}

const seenCards = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const entry = flow.cards.find(({ card }) => card === target);
      entry.visible = isIntersecting;
      if (isIntersecting && entry.stale) drawMap(entry);
    }
  },
  { rootMargin: "400px" },
);

function showMaps(outputs) {
  // After a change of weights only the maps are sent that it changed.
  flow.maps = outputs && outputs.map((values, i) => values || (flow.maps && flow.maps[i]));
  for (const entry of flow.cards) {
    entry.stale = true;
    if (entry.visible !== false) drawMap(entry);
  }
  drawEdges();
  if (flow.maps && selected) showUnit();
  else if (!flow.maps) forget();
}

function tilesOf({ layer, index }) {
  const { height, width, channels } = planesOf(layer);
  const first = flow.page[index] * TILES;
  const number = Math.min(channels - first, TILES);
  const across = Math.min(number, Math.max(1, Math.floor(640 / (Math.max(width, 24) + 1))), height === 1 ? 1 : 8);
  return { height, width, first, number, across };
}

// Draws a layer's values, a tile a channel: 0 is the ground, orange above and blue below, both safe for the colour-blind.
function drawMap(entry) {
  const { layer, index, canvas, map } = entry;
  if (flow.folded.has(index)) return;
  entry.stale = false;
  const { channels } = planesOf(layer);
  const { height, width, first, number, across } = tilesOf(entry);
  [canvas.width, canvas.height] = [across * (width + 1) - 1, Math.ceil(number / across) * (height + 1) - 1];
  const zoom = flow.scale * Math.max(1, Math.min(height === 1 ? 14 : 64 / height, 640 / canvas.width));
  canvas.style.width = zoom * canvas.width + "px";
  canvas.style.height = (height === 1 ? Math.max(zoom, 12) : zoom) * canvas.height + "px";
  map.style.minWidth = "3rem";
  if (!flow.maps) return;
  const values = flow.maps[index];
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(canvas.width, canvas.height);
  for (let tile = 0; tile < number; tile++) {
    const [top, left] = [Math.floor(tile / across) * (height + 1), (tile % across) * (width + 1)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = values[(y * width + x) * channels + first + tile] / (most || 1);
        image.data.set(colourAt(value), 4 * ((top + y) * canvas.width + left + x));
      }
    }
  }
  brush.putImageData(image, 0, 0);
}

const ENDS = { light: [[247, 247, 247], [20, 70, 150], [200, 80, 0]], dark: [[28, 33, 41], [110, 175, 255], [255, 165, 70]] };

// The colour of a value from -1 to 1.
function colourAt(value) {
  const [ground, below, above] = ENDS[darkness.matches ? "dark" : "light"];
  const end = value < 0 ? below : above;
  const share = Math.sqrt(Math.min(Math.abs(value) || 0, 1));
  return [0, 1, 2].map((c) => ground[c] + (end[c] - ground[c]) * share).concat(255);
}

function unitUnder(entry, { offsetX, offsetY }) {
  const { layer, canvas } = entry;
  const { height, width, first, number, across } = tilesOf(entry);
  const [x, y] = [(offsetX / canvas.clientWidth) * canvas.width, (offsetY / canvas.clientHeight) * canvas.height].map(Math.floor);
  const tile = Math.floor(y / (height + 1)) * across + Math.floor(x / (width + 1));
  const [row, column] = [y % (height + 1), x % (width + 1)];
  return tile < number && row < height && column < width ? unitAt(layer, row, column, first + tile) : null;
}

// Arrow keys walk over a map, Page Up and Page Down through its channels.
function walk({ layer, index }, event) {
  const by = { ArrowLeft: [0, -1, 0], ArrowRight: [0, 1, 0], ArrowUp: [-1, 0, 0], ArrowDown: [1, 0, 0], PageUp: [0, 0, -1], PageDown: [0, 0, 1] }[event.key];
  if (!by || !flow.maps) return;
  event.preventDefault();
  const at = selected && selected.layer === index ? selected.at : null;
  if (!at) return choose(index, firstUnit(layer, index));
  const { height, width, channels, flat } = planesOf(layer);
  const clamp = (value, most) => Math.min(Math.max(value, 0), most - 1);
  if (flat) choose(index, [0, 0, clamp(at[2] + by[0] + by[1] + by[2], width)]);
  else choose(index, [clamp(at[0] + by[0], height), clamp(at[1] + by[1], width), clamp(at[2] + by[2], channels)]);
}

// Frames what the chosen value sees, in the image and in every layer between; the value itself in its own tile alone.
function drawFrames() {
  for (const entry of flow.cards) {
    entry.frames.replaceChildren();
    entry.card.classList.toggle("chosen", Boolean(selected && selected.layer === entry.index));
  }
  byId("seenframe").replaceChildren();
  for (const { layer, top, left, height, width } of flow.frames) {
    if (!height || !width) continue;
    if (layer < 0) {
      const { width: across, height: down } = byId("seen");
      byId("seenframe").setAttribute("viewBox", `0 0 ${across} ${down}`);
      byId("seenframe").append(makeDrawn("rect", { x: left, y: top, width, height }));
      continue;
    }
    const entry = flow.cards[layer];
    const tiles = tilesOf(entry);
    const own = selected && selected.layer === layer;
    const { flat } = planesOf(entry.layer);
    entry.frames.setAttribute("viewBox", `0 0 ${tiles.across * (tiles.width + 1) - 1} ${Math.ceil(tiles.number / tiles.across) * (tiles.height + 1) - 1}`);
    if (flat) {
      const units = own ? { x: selected.at[2], width: 1 } : { x: 0, width: tiles.width };
      entry.frames.append(makeDrawn("rect", { ...units, y: 0, height: 1 }));
      continue;
    }
    for (let tile = 0; tile < tiles.number; tile++) {
      if (own && tiles.first + tile !== selected.at[2]) continue;
      const [down, right] = [Math.floor(tile / tiles.across) * (tiles.height + 1), (tile % tiles.across) * (tiles.width + 1)];
      entry.frames.append(makeDrawn("rect", { x: right + left, y: down + top, width, height }));
    }
  }
}

function zoom(by) {
  flow.scale = Math.min(Math.max(flow.scale * by, 0.25), 8);
  flow.cards.forEach(drawMap);
  drawEdges();
}

byId("larger").addEventListener("click", () => zoom(1.5));
byId("smaller").addEventListener("click", () => zoom(1 / 1.5));
byId("flow").addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1);
  },
  { passive: false },
);
byId("foldall").addEventListener("click", () => {
  const isFolded = flow.folded.size < flow.cards.length;
  byId("foldall").setAttribute("aria-pressed", String(isFolded));
  for (const entry of flow.cards) setFold(entry, isFolded);
});
let grip = null;
byId("flow").addEventListener("pointerdown", (event) => {
  if (event.target === byId("flow") || event.target === byId("layers")) grip = [event.clientX, event.clientY];
});
addEventListener("pointermove", (event) => {
  if (!grip) return;
  byId("flow").scrollBy(grip[0] - event.clientX, grip[1] - event.clientY);
  grip = [event.clientX, event.clientY];
});
addEventListener("pointerup", () => (grip = null));
addEventListener("resize", drawEdges);
darkness.addEventListener("change", () => flow.cards.forEach(drawMap));
