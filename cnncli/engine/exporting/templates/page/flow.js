"use strict";
// Every layer's maps, laid out as the network is: a column for each step from the image, branches below each other.
const TILE = 56;
const CELL = 13;
const MOST_MAPS = 16;
const MOST_CELLS = 160;
const INPUT = -1;
const FRAME = "#d6007a";
// Width of the flow on a printed page, in pixels of 1/96 inch: A4 on its side without margins and answer.
const PRINTED = 750;
const cards = new Map();
let shown = null;
let zoom = 1;

// Column and row of each layer. What stays behind a layer alone stays in its row; a second branch takes the next one.
function places() {
  const found = new Map([[INPUT, { column: 0, row: 0 }]]);
  const taken = new Set(["0 0"]);
  network.layers.forEach(({ inputs }, index) => {
    const before = inputs.map((i) => found.get(i));
    const column = Math.max(...before.map((place) => place.column)) + 1;
    let row = Math.min(...before.map((place) => place.row));
    while (taken.has(`${column} ${row}`)) row++;
    taken.add(`${column} ${row}`);
    found.set(index, { column, row });
  });
  return found;
}

const nameOf = (index) => (index < 0 ? t("input") : network.layers[index].name);
function shapeText(index) {
  if (index < 0) return [program.height, program.width, program.channels].join("×");
  const { type, shape } = network.layers[index];
  // A sequence is computed as an image of one row.
  return (type.endsWith("1D") && shape.length === 3 ? shape.slice(1) : shape).join("×");
}

// How a layer's maps are drawn: size of a tile in screen pixels, tiles in a row, channels on a page.
function geometry(index) {
  const [rows, columns, channels] = units.shape(index);
  if (index < 0) {
    const factor = Math.max(1, Math.floor(112 / Math.max(rows, columns)));
    return { rows, columns, channels: 1, down: factor, across: factor, each: 1, across_tiles: 1, gap: 0 };
  }
  const single = rows * columns === 1;
  const size = single ? CELL : Math.max(1, Math.min(16, Math.floor(TILE / Math.max(rows, columns))));
  const line = rows === 1 && columns > 1;
  const across = line ? Math.max(1, Math.min(10, Math.floor(150 / columns))) : size;
  const most = single ? MOST_CELLS : MOST_MAPS;
  const number = Math.min(channels, most);
  const abreast = single ? Math.ceil(number / 16) : line ? 1 : Math.ceil(Math.sqrt(number));
  const [down, gap] = [line ? 9 : size, single ? 1 : 4];
  return { rows, columns, channels, down, across, each: most, across_tiles: abreast, gap };
}

function buildFlow() {
  const graph = byId("graph");
  const where = places();
  cards.clear();
  graph.replaceChildren(drawing("svg", { width: 1, height: 1, "aria-hidden": "true" }));
  for (let index = INPUT; index < network.layers.length; index++) {
    const card = cardOf(index);
    const { column, row } = where.get(index);
    card.element.style.gridColumn = column + 1;
    card.element.style.gridRow = row + 1;
    cards.set(index, { ...card, column, row });
    graph.append(card.element);
  }
  watch();
  drawEdges();
}

function cardOf(index) {
  const canvas = make("canvas", { id: "layer" + index, width: 1, height: 1 });
  const maps = make("div", { class: "maps", tabindex: 0, role: "application" }, canvas);
  const title = make("button", { type: "button", "aria-expanded": "true" });
  const about = make("p", { class: "about" });
  const bar = make("canvas", { "aria-hidden": "true" });
  const [low, high] = [make("span"), make("span")];
  const legend = index < 0 ? null : make("div", { class: "legend" }, low, bar, high);
  const pages = make("span");
  const turn = (by) => ({ click: () => turnPage(index, by) });
  const back = make("button", { type: "button", on: turn(-1) }, "◂");
  const on = make("button", { type: "button", on: turn(1) }, "▸");
  const pager = make("div", { class: "pager" }, back, pages, on);
  const element = make("article", { class: "layer" }, make("h3", {}, title), about, maps, legend, pager);
  const layout = geometry(index);
  pager.hidden = layout.channels <= layout.each;
  title.addEventListener("click", () => fold(index));
  maps.addEventListener("click", (event) => pick(index, event));
  maps.addEventListener("keydown", (event) => walk(index, event));
  const card = { element, canvas, maps, title, about, bar, low, high, pages, back, on, layout, page: 0, seen: true };
  if (index >= 0 && network.layers[index].kind === "same") setFolded(card, true);
  return card;
}

function setFolded(card, folded) {
  card.element.classList.toggle("folded", folded);
  card.title.setAttribute("aria-expanded", String(!folded));
}

function fold(index, folded) {
  const card = cards.get(index);
  setFolded(card, folded === undefined ? !card.element.classList.contains("folded") : folded);
  drawCard(index);
  drawEdges();
}

function foldAll(folded) {
  for (const [index, card] of cards) if (index >= 0) setFolded(card, folded);
  drawFlow();
  drawEdges();
}

// Cards out of sight are drawn when they come into it.
function watch() {
  if (!window.IntersectionObserver) return;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const [index, card] = Array.from(cards).find(([, { element }]) => element === target);
        card.seen = isIntersecting;
        if (isIntersecting && card.stale) drawCard(index);
      }
    },
    { root: byId("flow"), rootMargin: "400px" },
  );
  for (const { element } of cards.values()) observer.observe(element);
}

// What a card says of its layer, in the language and, in a quiz, without the answers.
function nameCards() {
  for (const [index, card] of cards) {
    const layer = network.layers[index];
    card.title.textContent = nameOf(index);
    const secret = (text) => make("span", { class: "secret" }, text);
    if (!layer) card.about.replaceChildren(shapeText(index));
    else {
      const parameters = layer.params ? " · " + t("parameters", { number: whole(layer.params) }) : "";
      card.about.replaceChildren(layer.type, secret(" · " + shapeText(index) + parameters));
    }
    card.maps.setAttribute("aria-label", t("maps_of", { layer: nameOf(index) }));
    card.back.setAttribute("aria-label", t("channels_before", { layer: nameOf(index) }));
    card.on.setAttribute("aria-label", t("channels_after", { layer: nameOf(index) }));
    tellPage(card);
  }
}

function tellPage(card) {
  const { channels, each } = card.layout;
  const last = Math.min((card.page + 1) * each, channels);
  card.pages.textContent = t("channels_of", { first: card.page * each, last: last - 1, number: channels });
  card.back.disabled = card.page === 0;
  card.on.disabled = last === channels;
}

function turnPage(index, by) {
  const card = cards.get(index);
  const pages = Math.ceil(card.layout.channels / card.layout.each);
  card.page = Math.min(Math.max(card.page + by, 0), pages - 1);
  tellPage(card);
  drawCard(index);
}

// Draws one tile for each channel of the page, and what is framed in it.
function drawCard(index) {
  const card = cards.get(index);
  if (!shown) return clearCard(card);
  card.stale = (!card.seen && !isPrinted.matches) || card.element.classList.contains("folded");
  if (card.stale) return;
  if (index < 0) drawInput(card);
  else drawMaps(card, index);
  for (const frame of framesOf(index)) drawFrame(card, frame);
}

function clearCard(card) {
  [card.canvas.width, card.canvas.height] = [1, 1];
  for (const part of [card.low, card.high]) part.textContent = "";
}

const tilesOf = ({ layout, page }) => Math.min(layout.each, layout.channels - page * layout.each);

function cornerOf({ layout }, tile) {
  const { rows, columns, down, across, across_tiles: abreast, gap } = layout;
  return [Math.floor(tile / abreast) * (rows * down + gap), (tile % abreast) * (columns * across + gap)];
}

function resize(card) {
  const { rows, columns, down, across, across_tiles: abreast, gap } = card.layout;
  const lines = Math.ceil(tilesOf(card) / abreast);
  const width = abreast * (columns * across + gap) - gap;
  const height = lines * (rows * down + gap) - gap;
  if (card.canvas.width !== width) card.canvas.width = width;
  if (card.canvas.height !== height) card.canvas.height = height;
}

function drawInput(card) {
  const { pixels, height, width, channels } = shown.image;
  const { down } = card.layout;
  const small = document.createElement("canvas");
  drawImage(small, pixels, height, width, channels);
  resize(card);
  const brush = card.canvas.getContext("2d");
  brush.imageSmoothingEnabled = false;
  brush.drawImage(small, 0, 0, width * down, height * down);
}

function drawMaps(card, index) {
  resize(card);
  const values = shown.outputs[index];
  const { rows, columns, channels, down, across, each } = card.layout;
  const { width, height } = card.canvas;
  const limit = largestOf(values);
  const scale = scaleNow();
  const brush = card.canvas.getContext("2d");
  const made = brush.createImageData(width, height);
  const words = new Uint32Array(made.data.buffer);
  const colours = new Uint32Array(2 * LEVELS + 1);
  for (let i = 0; i < colours.length; i++) {
    colours[i] = (255 << 24) | (scale[3 * i + 2] << 16) | (scale[3 * i + 1] << 8) | scale[3 * i];
  }
  for (let tile = 0; tile < tilesOf(card); tile++) {
    const channel = card.page * each + tile;
    const [top, left] = cornerOf(card, tile);
    for (let row = 0; row < rows; row++) {
      const line = (top + row * down) * width + left;
      for (let column = 0; column < columns; column++) {
        const value = values[(row * columns + column) * channels + channel];
        words.fill(colours[placeOf(value, limit) / 3], line + column * across, line + (column + 1) * across);
      }
      for (let copy = 1; copy < down; copy++) words.copyWithin(line + copy * width, line, line + columns * across);
    }
  }
  brush.putImageData(made, 0, 0);
  strikeOut(card, index, brush);
  drawScale(card.bar);
  card.low.textContent = told(-limit);
  card.high.textContent = told(limit);
}

// Channels that are switched off have a cross.
function strikeOut(card, index, brush) {
  const { rows, columns, down, across, each } = card.layout;
  for (let tile = 0; tile < tilesOf(card); tile++) {
    if (!state.off.has(`${index}:${card.page * each + tile}`)) continue;
    const [top, left] = cornerOf(card, tile);
    brush.strokeStyle = FRAME;
    brush.lineWidth = 2;
    brush.beginPath();
    brush.moveTo(left, top);
    brush.lineTo(left + columns * across, top + rows * down);
    brush.moveTo(left + columns * across, top);
    brush.lineTo(left, top + rows * down);
    brush.stroke();
  }
}

// What is framed in a layer: the chosen unit, the window that it reads, its receptive field further back.
function framesOf(index) {
  if (state.layer === null || state.quiz) return state.layer === index ? unitFrame() : [];
  const found = unitFrame().filter(() => index === state.layer);
  const field = units.field(state.layer, state.unit).find((one) => one.layer === index && index !== state.layer);
  if (field && field.height && field.width) found.push({ ...field, channels: null, width_of_line: 2 });
  return found;
}

function unitFrame() {
  const [top, left, channel] = state.unit;
  return [{ top, left, height: 1, width: 1, channels: [channel, channel + 1], width_of_line: 3 }];
}

function drawFrame(card, { top, left, height, width, channels, width_of_line: line }) {
  const { down, across, each } = card.layout;
  const brush = card.canvas.getContext("2d");
  for (let tile = 0; tile < tilesOf(card); tile++) {
    const channel = card.page * each + tile;
    if (channels && (channel < channels[0] || channel >= channels[1])) continue;
    const [y, x] = cornerOf(card, tile);
    const edges = [x + left * across, y + top * down, width * across, height * down];
    // A white line outside a coloured one is seen on every ground.
    for (const [colour, out] of [["#fff", line > 2 ? 2 : 0], [FRAME, line > 2 ? 1 : 0]]) {
      brush.strokeStyle = colour;
      brush.lineWidth = colour === FRAME ? 2 : line > 2 ? 1 : 4;
      brush.strokeRect(edges[0] - out + 0.5, edges[1] - out + 0.5, edges[2] + 2 * out - 1, edges[3] + 2 * out - 1);
    }
  }
}

function drawFlow() {
  for (const index of cards.keys()) drawCard(index);
}

// Lines from layer to layer; one that passes others of its row goes round above them.
function drawEdges() {
  const graph = byId("graph");
  const svg = graph.querySelector("svg");
  const ground = graph.getBoundingClientRect();
  const box = (index) => {
    const { left, right, top, bottom } = cards.get(index).element.getBoundingClientRect();
    const scaled = (value) => value / zoom;
    const [y0, y1] = [scaled(top - ground.top), scaled(bottom - ground.top)];
    return { left: scaled(left - ground.left), right: scaled(right - ground.left), top: y0, middle: (y0 + y1) / 2 };
  };
  const boxes = new Map(Array.from(cards.keys(), (index) => [index, box(index)]));
  const edges = network.layers.flatMap(({ inputs }, index) => inputs.map((from) => [from, index]));
  const passed = ([from, to]) => {
    const [a, b] = [cards.get(from), cards.get(to)];
    const between = ([, { column, row }]) => row === a.row && column > a.column && column < b.column;
    return Array.from(cards).filter(between).map(([index]) => boxes.get(index));
  };
  const path = (edge) => edgePath(boxes.get(edge[0]), boxes.get(edge[1]), passed(edge));
  svg.replaceChildren(...edges.map((edge) => drawing("path", { d: path(edge) })));
}

// Straight on in its row, and into the other row in the gap before its end.
function edgePath(a, b, between) {
  const end = b.left - 36;
  if (!between.length) {
    return `M${a.right},${a.middle} H${end} C${end + 20},${a.middle} ${end + 16},${b.middle} ${b.left},${b.middle}`;
  }
  const above = Math.min(...between.map(({ top }) => top), a.top, b.top) - 14;
  const up = `M${a.right},${a.middle} C${a.right + 24},${a.middle} ${a.right + 4},${above} ${a.right + 34},${above}`;
  return `${up} L${end},${above} C${end + 30},${above} ${end + 12},${b.middle} ${b.left},${b.middle}`;
}

// What is in the middle stays there.
function setZoom(factor) {
  const [flow, former] = [byId("flow"), zoom];
  const [middle, centre] = [flow.scrollTop + flow.clientHeight / 2, flow.scrollLeft + flow.clientWidth / 2];
  zoom = Math.min(Math.max(factor, 0.25), 4);
  byId("graph").style.zoom = zoom;
  flow.scrollTop = (middle * zoom) / former - flow.clientHeight / 2;
  flow.scrollLeft = (centre * zoom) / former - flow.clientWidth / 2;
  drawEdges();
}

// The unit below a point of the screen: row, column, channel; null between tiles.
function unitAt(index, event) {
  const card = cards.get(index);
  const { rows, columns, down, across, across_tiles: abreast, gap } = card.layout;
  const box = card.canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) * card.canvas.width) / box.width;
  const y = ((event.clientY - box.top) * card.canvas.height) / box.height;
  const [line, place] = [Math.floor(y / (rows * down + gap)), Math.floor(x / (columns * across + gap))];
  const tile = line * abreast + place;
  const row = Math.floor((y - line * (rows * down + gap)) / down);
  const column = Math.floor((x - place * (columns * across + gap)) / across);
  const within = (at, length) => at >= 0 && at < length;
  const hit = within(tile, tilesOf(card)) && within(place, abreast) && within(row, rows) && within(column, columns);
  if (!hit) return null;
  return [row, column, card.page * card.layout.each + tile];
}

function pick(index, event) {
  if (index < 0 || !shown) return;
  const unit = unitAt(index, event);
  if (unit) choose(index, unit);
}

// Arrow keys walk over a map, page keys to the next channel; along a vector all arrows walk.
function walk(index, event) {
  if (index < 0 || !shown) return;
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const { layout } = cards.get(index);
  const { rows, columns, channels, across_tiles: abreast } = layout;
  const begin = state.layer === index ? state.unit : null;
  const middle = units.shape(index).map((length) => length >> 1);
  if (event.key === "Enter" || event.key === " ") choose(index, begin || middle);
  else if (event.key === "PageDown" || event.key === "PageUp") {
    const by = event.key === "PageDown" ? 1 : -1;
    const [y, x, c] = begin || [rows >> 1, columns >> 1, 0];
    choose(index, [y, x, Math.min(Math.max(c + by, 0), channels - 1)]);
  } else if (steps[event.key]) {
    const [down, right] = steps[event.key];
    const [y, x, c] = begin || [rows >> 1, columns >> 1, 0];
    const clip = (place, length) => Math.min(Math.max(place, 0), length - 1);
    const single = rows * columns === 1;
    const along = [0, 0, clip(c + right + down * abreast, channels)];
    const next = single ? along : [clip(y + down, rows), clip(x + right, columns), c];
    choose(index, begin ? next : [y, x, c]);
  } else return;
  event.preventDefault();
}

// Shows the page of channels on which a unit is, and brings its card into sight.
function reveal(index, channel, moved) {
  const card = cards.get(index);
  if (card.element.classList.contains("folded")) fold(index, false);
  const page = Math.floor(channel / card.layout.each);
  if (page !== card.page) {
    card.page = page;
    tellPage(card);
  }
  if (!moved) return;
  const flow = byId("flow");
  const [inner, outer] = [card.element.getBoundingClientRect(), flow.getBoundingClientRect()];
  flow.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  flow.scrollTop += inner.top - outer.top - Math.max(0, (outer.height - inner.height) / 2);
}

function listenToFlow() {
  const flow = byId("flow");
  let from = null;
  flow.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || event.target.closest(".layer")) return;
    from = { x: event.clientX + flow.scrollLeft, y: event.clientY + flow.scrollTop };
    flow.setPointerCapture(event.pointerId);
    flow.classList.add("panning");
  });
  flow.addEventListener("pointermove", (event) => {
    if (!from) return;
    flow.scrollLeft = from.x - event.clientX;
    flow.scrollTop = from.y - event.clientY;
  });
  for (const name of ["pointerup", "pointercancel"]) {
    flow.addEventListener(name, () => {
      from = null;
      flow.classList.remove("panning");
    });
  }
  flow.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      setZoom(zoom * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
    },
    { passive: false },
  );
  byId("larger").addEventListener("click", () => setZoom(zoom * 1.25));
  byId("smaller").addEventListener("click", () => setZoom(zoom / 1.25));
  byId("fold-all").addEventListener("click", () => foldAll(true));
  byId("unfold-all").addEventListener("click", () => foldAll(false));
  addEventListener("resize", drawEdges);
  let former = zoom;
  addEventListener("beforeprint", () => {
    former = zoom;
    setZoom(1);
    setZoom(Math.min(1, PRINTED / byId("graph").getBoundingClientRect().width));
    drawFlow();
  });
  addEventListener("afterprint", () => setZoom(former));
  for (const query of [SCHEME, isPrinted]) query.addEventListener("change", drawFlow);
}
