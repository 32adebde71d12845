"use strict";
// What the network answers: probabilities, the class of each pixel, or boxes.
const LEAST_SIDE = 480;

function warn(doubts) {
  byId("doubts").replaceChildren(
    ...doubts.map((doubt) => {
      const item = document.createElement("li");
      item.textContent = doubt;
      return item;
    }),
  );
}

// Lays the classes' colours over the image, which is grey below them, so that a colour is a class's alone.
function paint() {
  const { pixels, mask, height, width } = painted;
  const share = byId("share").value / 100;
  const mixed = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < mask.length; i++) {
    const colour = program.colours[mask[i]];
    const grey = (pixels[3 * i] + pixels[3 * i + 1] + pixels[3 * i + 2]) / 3;
    for (let c = 0; c < 3; c++) mixed[3 * i + c] = share ? (1 - share) * grey + share * colour[c] : pixels[3 * i + c];
  }
  drawImage(pad, mixed, height, width, 3);
}

// Names the classes that were found, the largest first, with their colours and their shares of the image.
function legend(mask) {
  const shares = program.classes.map(() => 0);
  for (const label of mask) shares[label] += 1 / mask.length;
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]);
  byId("answer").replaceChildren(
    ...order.filter((index) => shares[index]).map((index) => colouredRow(index, percent(shares[index]), shares[index])),
  );
}

// Draws the photo and the boxes that reach the threshold, and counts them by class; before they are known, the photo.
function mark() {
  const { canvas, objects } = painted;
  const shown = (objects ?? []).filter(({ score }) => score >= threshold());
  const factor = Math.ceil(LEAST_SIDE / Math.max(canvas.width, canvas.height));
  [pad.width, pad.height] = [factor * canvas.width, factor * canvas.height];
  pen.imageSmoothingEnabled = false;
  pen.drawImage(canvas, 0, 0, pad.width, pad.height);
  const width = Math.max(1, Math.round(Math.max(pad.width, pad.height) / 240));
  const labels = labelsOf(shown, factor, width);
  // The most confident last: they are drawn over the others, and no line crosses a label.
  for (const { label, box } of [...shown].reverse()) {
    const [left, top, right, bottom] = box.map((edge) => factor * edge);
    pen.strokeStyle = colourOf(label);
    pen.lineWidth = width;
    const [across, down] = [right - left, bottom - top].map((length) => Math.max(length - width, 0));
    pen.strokeRect(left + width / 2, top + width / 2, across, down);
  }
  labels.reverse().forEach(write);
  if (objects) count(shown);
  else byId("answer").replaceChildren(totalRow(t("computing"), ""));
}

const threshold = () => Number(byId("threshold").value);
const tellThreshold = () => (byId("limit").textContent = threshold().toFixed(2));

// Places a label above each box, or below its upper edge where there is no room; always within the image.
function labelsOf(shown, factor, width) {
  const size = Math.max(11, 3 * width + 8);
  pen.font = `${size}px system-ui, sans-serif`;
  const taken = new Set();
  return shown.map(({ label, score, box }) => {
    const text = `${program.classes[label]} ${score.toFixed(2)}`;
    const [across, down] = [Math.ceil(pen.measureText(text).width) + 4, size + 4];
    const [left, top] = box.map((edge) => Math.round(factor * edge));
    const x = Math.max(Math.min(left, pad.width - across), 0);
    let y = top >= down ? top - down : top;
    // Several classes may have the same box: their labels stand below each other.
    while (taken.has(`${x} ${y}`) && y + 2 * down <= pad.height) y += down;
    taken.add(`${x} ${y}`);
    return { text, label, size, x, y, across, down };
  });
}

function write({ text, label, size, x, y, across, down }) {
  pen.fillStyle = colourOf(label);
  pen.fillRect(x, y, across, down);
  const [red, green, blue] = program.colours[label];
  pen.fillStyle = 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000" : "#fff";
  pen.textBaseline = "middle";
  pen.fillText(text, x + 2, y + down / 2 + size / 16);
}

// Names the classes that were found, the most frequent first, with their colours and how many there are.
function count(shown) {
  const counts = program.classes.map(() => 0);
  for (const { label } of shown) counts[label] += 1;
  const most = Math.max(...counts);
  const order = Array.from(counts.keys()).sort((a, b) => counts[b] - counts[a]);
  const found = order.filter((index) => counts[index]);
  const rows = found.map((index) => colouredRow(index, times(counts[index]), counts[index] / most));
  const total = shown.length ? totalRow(t("all"), times(shown.length)) : totalRow(t("nothing_found"), "");
  byId("answer").replaceChildren(...rows, total);
}

function totalRow(name, number) {
  const row = document.createElement("tr");
  row.className = "first";
  row.insertCell().textContent = name;
  row.insertCell().textContent = number;
  return row;
}

const colourOf = (index) => `rgb(${program.colours[index].join(" ")})`;
const times = (number) => "× " + number;

function colouredRow(index, text, share) {
  const row = rowOf(program.classes[index], text, share);
  const swatch = document.createElement("i");
  swatch.style.background = row.querySelector("div").style.background = colourOf(index);
  row.cells[0].prepend(swatch);
  return row;
}

// A name, a number and a bar; where something was changed, below it in grey what it was before.
function rowOf(name, text, share, before) {
  const row = document.createElement("tr");
  row.insertCell().textContent = name;
  const number = row.insertCell();
  number.textContent = text;
  const cell = row.insertCell();
  cell.className = "bar";
  const bars = before === undefined ? [share] : [share, before];
  for (const width of bars) {
    const bar = document.createElement("div");
    bar.style.width = 100 * width + "%";
    cell.append(bar);
  }
  if (before !== undefined) {
    row.insertCell().append(make("small", { title: t("untouched") }, percent(before)));
  }
  return row;
}

function answer(probabilities, before) {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const some = probabilities.length <= 12 ? Array.from(probabilities.keys()) : order.slice(0, 10);
  byId("answer").replaceChildren(
    ...some.map((index) => {
      const share = probabilities[index];
      const row = rowOf(program.classes[index], percent(share), share, before ? before[index] : undefined);
      row.className = index === order[0] ? "first" : "";
      return row;
    }),
  );
  if (before) byId("answer").append(make("caption", { class: "hint" }, t("answer_beside")));
}
