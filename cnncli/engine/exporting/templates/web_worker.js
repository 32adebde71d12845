"use strict";
// The network in a worker, so that a page never freezes, and on the page's own thread where there is no worker.
//
// One form of message: {id, name, args} asks, {id, result} or {id, error} answers, {id, progress} says how far it is.
// Traces stay in the worker by name ("shown", "untouched"): what is sent is a copy of the maps, handed over without
// being copied again.
function makeCommands(program, buffer) {
  const network = makeNetwork(program, buffer);
  const units = makeUnits(network);
  const images = makeImages();
  const traces = {};
  let latest = 0;

  // What is told of a trace: maps of the layers of `sent` (null stands for the others), and the answer.
  function told(trace, sent) {
    const { outputs, before, image, input, ...answer } = trace;
    return {
      ...answer,
      outputs: outputs.map((values, i) => (sent(i) ? values.slice() : null)),
      edited: network.edited,
    };
  }

  const pause = () => new Promise((go) => setTimeout(go, 0));

  return {
    // Takes the pixels of an image of the network's size, 0 to 255.
    trace(name, pixels) {
      traces[name] = network.trace(pixels);
      return told(traces[name], () => true);
    },
    // After changes of some layers: only the maps that this changed are sent.
    update(name, layers) {
      const old = traces[name];
      traces[name] = network.update(old, layers);
      return told(traces[name], (i) => traces[name].outputs[i] !== old.outputs[i]);
    },
    // Only the answer: for many images one after the other.
    answer: (pixels) => told(network.trace(pixels), () => false),
    explain: (name, layer, at) => units.explain(traces[name], layer, at),
    field: (layer, at) => units.field(layer, at),
    kernel: (layer, channel) => units.kernel(layer, channel),
    // Takes a list of [layer, weight's name, index, value].
    edit(changes) {
      for (const change of changes) network.edit(...change);
      return network.edited;
    },
    silence(layer, channel, on) {
      network.silence(layer, channel, on);
      return network.edited;
    },
    setWeights(other) {
      network.setWeights(other);
      return network.edited;
    },
    reset() {
      network.reset();
      return network.edited;
    },
    preprocess: (image) => network.preprocess(image),
    doubts: (pixels, energy) => network.doubts(pixels, energy),
    maskOf: (...args) => network.maskOf(...args),
    objectsOf: (...args) => network.objectsOf(...args),
    // The probability of a class while square after square of the image is covered. Other messages are heard meanwhile;
    // a later call ends an earlier one, whose answer is null.
    async occlusion(image, label, size, stride, fill, progress) {
      const own = ++latest;
      const answerOf = ({ pixels }) => network.trace(pixels).probabilities[label];
      const steps = images.occlusion(answerOf, image, size, stride, fill);
      let heard = performance.now();
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        if (performance.now() - heard < 30) continue;
        progress(value);
        await pause();
        if (own !== latest) return null;
        heard = performance.now();
      }
    },
    cancel() {
      latest++;
    },
  };
}

const PROGRESSING = new Set(["occlusion"]);

// Answers the messages of a page: `post(message, transferred)` sends.
function makeServer(post) {
  let commands = null;
  return async ({ id, name, args }) => {
    try {
      if (name === "start") {
        commands = args.length ? makeCommands(...args) : null;
        return post({ id, result: true }, []);
      }
      const more = PROGRESSING.has(name) ? [(progress) => post({ id, progress }, [])] : [];
      const result = await commands[name](...args, ...more);
      return post({ id, result }, buffersOf(result));
    } catch (error) {
      return post({ id, error: String((error && error.message) || error) }, []);
    }
  };
}

// The buffers of an answer's arrays that can be handed over: all but views of part of one, as of the weights.
function buffersOf(result) {
  const found = new Set();
  const look = (value) => {
    if (ArrayBuffer.isView(value)) {
      if (value.byteLength === value.buffer.byteLength) found.add(value.buffer);
    } else if (Array.isArray(value)) {
      if (value.length && typeof value[0] !== "number") value.forEach(look);
    } else if (value && typeof value === "object") Object.values(value).forEach(look);
  };
  look(result);
  return [...found];
}

// Returns what a page calls the network with: `call(name, ...args)` gives a promise of the answer; `latest` the same,
// but a call that waits for an earlier one of its name is given up for a later one, and answered with null;
// `onProgress(name, listener)`; `close()`. `scripts` are the texts of this file and of web_network.js, web_units.js and
// web_images.js; `threaded` says whether there is a worker. It takes `buffer` for its own: the page has it no longer.
async function makeClient(scripts, program, buffer) {
  const waiting = new Map();
  const listeners = {};
  let number = 0;
  let send = null;

  function heard({ id, result, error, progress }) {
    const call = waiting.get(id);
    if (!call) return;
    if (progress !== undefined) {
      if (listeners[call.name]) listeners[call.name](progress);
      return;
    }
    waiting.delete(id);
    if (error === undefined) call.resolve(result);
    else call.reject(new Error(error));
  }

  function ask(name, args, transferred = []) {
    return new Promise((resolve, reject) => {
      const id = ++number;
      waiting.set(id, { name, resolve, reject });
      send({ id, name, args }, transferred);
    });
  }

  // A worker that may not be made says so by throwing, or by an error before its first answer.
  async function started() {
    let worker = null;
    try {
      const text = [...scripts, "const answer = makeServer((...m) => self.postMessage(...m));"];
      text.push("self.onmessage = ({ data }) => answer(data);");
      const address = URL.createObjectURL(new Blob([text.join("\n")], { type: "text/javascript" }));
      worker = new Worker(address);
      const failed = new Promise((_, reject) => (worker.onerror = () => reject(new Error("no worker"))));
      worker.onmessage = ({ data }) => heard(data);
      send = (message, transferred) => worker.postMessage(message, transferred);
      await Promise.race([ask("start", []), failed]);
      URL.revokeObjectURL(address);
      await ask("start", [program, buffer], [buffer]);
      return worker;
    } catch {
      if (worker) worker.terminate();
      const answer = makeServer((message) => heard(message));
      send = (message) => setTimeout(() => answer(message), 0);
      await ask("start", [program, buffer]);
      return null;
    }
  }

  const worker = await started();
  const queues = {};

  async function latest(name, ...args) {
    const queue = (queues[name] = queues[name] || { busy: false, next: null });
    if (queue.busy) {
      if (queue.next) queue.next.resolve(null);
      return new Promise((resolve, reject) => (queue.next = { args, resolve, reject }));
    }
    queue.busy = true;
    try {
      return await ask(name, args);
    } finally {
      queue.busy = false;
      const { next } = queue;
      queue.next = null;
      if (next) latest(name, ...next.args).then(next.resolve, next.reject);
    }
  }

  return {
    threaded: worker !== null,
    call: (name, ...args) => ask(name, args),
    latest,
    onProgress: (name, listener) => (listeners[name] = listener),
    close: () => worker && worker.terminate(),
  };
}
