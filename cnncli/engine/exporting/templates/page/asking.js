"use strict";
// The network of this page. `network` keeps the weights as they are and knows the layers; what is changed is asked for:
// of a network that answers within a frame on this thread, of a larger one in a worker, so that the page never freezes.
const QUICK = 4e6;
const program = JSON.parse(byId("network").textContent);
const material = JSON.parse(byId("explore").textContent || "{}");
const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const buffer = bytesOf(byId("weights").textContent).buffer;
const network = makeNetwork(program, buffer);
const units = makeUnits(network);
const images = makeImages();
const examples = (material.examples || []).map((example) => ({ ...example, pixels: bytesOf(example.pixels) }));
const epochs = material.epochs || [];
const own = program.macs <= QUICK ? makeCommands(program, buffer) : null;
const scripts = ["engine", "units", "images", "worker"].map((id) => byId(id).textContent);
const client = own ? null : makeClient(scripts, program, buffer.slice(0));
const REPLACEABLE = new Set(["trace", "explain"]);

// Asks the network; `then` hears the answer, at once where the network is on this thread. Of what is asked anew before
// it is answered, only the last is.
function ask(name, args, then = () => {}) {
  if (own) return void then(own[name](...args));
  client
    .then((asked) => (REPLACEABLE.has(name) ? asked.latest(name, ...args) : asked.call(name, ...args)))
    .then((answered) => {
      if (answered !== null) then(answered);
    })
    .catch((error) => console.error(error));
}

// The same for what takes long: `progress` hears how far it is.
async function askLong(name, args, progress) {
  if (own) return own[name](...args, progress);
  const asked = await client;
  asked.onProgress(name, progress);
  return asked.call(name, ...args);
}
