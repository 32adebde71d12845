"use strict";
// All texts of the page: one table a language, chosen by the browser's, and changed without loading anything.
const byId = (id) => document.getElementById(id);
const tables = JSON.parse(byId("texts").textContent);
let language = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in tables) || "en";
const relabelled = [];

// Returns a text; {name} in it stands for a value.
function say(key, values = {}) {
  return tables[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  relabelled.forEach((again) => again());
}

// Returns a new element with a class and children; texts never become markup.
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function makeDrawn(tag, attributes) {
  const element = document.createElementNS(byId("edges").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
