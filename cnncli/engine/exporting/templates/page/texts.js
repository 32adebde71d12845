"use strict";
// All words of the page stand in one table a language, and are put in as text, never as HTML.
const byId = (id) => document.getElementById(id);
const TEXTS = JSON.parse(byId("texts").textContent);
const wanted = (navigator.languages || [navigator.language || "en"]).map((name) => name.slice(0, 2));
let language = wanted.find((name) => TEXTS[name]) || "en";
let digits = 3;

function t(key, numbers = {}) {
  const text = TEXTS[language][key] ?? TEXTS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => numbers[name]);
}

// A number with the digits that the reader asked for.
function told(value) {
  if (!Number.isFinite(value)) return value === undefined || value === null ? "–" : String(value);
  const small = value !== 0 && Math.abs(value) < 1e-4;
  const rounded = value + 0;
  if (small) return rounded.toExponential(digits - 1).replace(".", decimal());
  return new Intl.NumberFormat(language, { maximumSignificantDigits: digits, useGrouping: false }).format(rounded);
}

const decimal = () => (language === "de" ? "," : ".");
const whole = (value) => new Intl.NumberFormat(language).format(value);
const percent = (share) => (100 * share).toFixed(1).replace(".", decimal()) + " %";

// Makes an element: attributes by name, `on` with a listener by event, children that are elements or text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const hint = (text, attributes = {}) => make("p", { class: "hint", ...attributes }, text);

function button(id, text, listener, attributes = {}) {
  return make("button", { type: "button", id, on: { click: listener }, ...attributes }, text);
}

function drawing(tag, attributes, ...children) {
  const element = document.createElementNS(byId("namespace").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Puts the language's words into what stands in the page from its beginning.
function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
    if (element.tagName === "BUTTON") element.title = t(element.dataset.label);
  }
}
