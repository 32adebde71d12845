"""The JavaScript of the exported page, asked for its numbers, and the same numbers from Keras, NumPy and gradients."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import cnncli

SCRIPTS = Path(cnncli.__file__).parent / "engine" / "exporting" / "templates"
Floats = npt.NDArray[np.float64]
Call = Callable[[str, Any], Any]
"""Runs a JavaScript function of `network`, `units` and an argument."""

SETUP = """
const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const encode = (values) => {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
};
const images = makeImages();
let network, units, traced;
const load = ({ program, weights }) => {
  network = makeNetwork(program, decode(weights));
  units = makeUnits(network);
};
"""

EXPLAIN = """({ pixels, at }) => {
  traced = network.trace(Float32Array.from(pixels));
  const all = at.map(([layer, ...place]) => units.explain(traced, layer, place));
  const found = all.map((one) => {
    const { value, after, before, bias, sum, kind, activation, formula, winner, window, silenced } = one;
    const siblings = one.siblings && Array.from(one.siblings);
    const { length } = one.terms;
    return { value, after, before, bias, sum, kind, activation, formula, winner, window, silenced, siblings, length };
  });
  const terms = all.flatMap((one) => one.terms);
  const column = (of) => encode(Float64Array.from(terms, of));
  return {
    found,
    inputs: column(({ input }) => (input === null ? NaN : input)),
    weights: column(({ weight }) => weight),
    products: column(({ product }) => product),
    sources: column(({ source }) => source),
    places: column(({ at, source }) => {
      if (!at) return -1;
      const [, columns, channels] = units.shape(source);
      return (at[0] * columns + at[1]) * channels + at[2];
    }),
  };
}"""


class Node:
    """One Node process that answers line by line."""

    def __enter__(self) -> Self:
        """Start it with the page's scripts."""
        scripts = "".join(map(script, SCRIPT_NAMES))
        scripts = scripts.replace('"use strict";', "")
        loop = """
        require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
          const { code, argument } = JSON.parse(line);
          Promise.resolve(eval(code)(argument)).then((answer) => console.log(JSON.stringify({ answer })));
        });"""
        self._node = subprocess.Popen(
            ["node", "-e", scripts + SETUP + loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __call__(self, code: str, argument: Any = None) -> Any:
        """Run a function."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps({"code": f"({code})", "argument": argument}) + "\n")
        self._node.stdin.flush()
        return json.loads(self._node.stdout.readline()).get("answer")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it."""
        self._node.communicate()


SCRIPT_NAMES = ("web_network.js", "web_units.js", "web_images.js", "web_worker.js")


class Browser:
    """One page of headless Chromium, opened from a file, that runs functions.

    Args:
        executable: The browser.
        folder: Where the page is written.
    """

    POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:"

    def __init__(self, executable: str, folder: Path) -> None:
        self.executable = executable
        self.file = folder / "numbers.html"
        scripts = "".join(f"<script>{script(name)}</script>" for name in SCRIPT_NAMES)
        head = (
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{self.POLICY}">'
        )
        self.file.write_text(f"{head}{scripts}<script>{SETUP}</script>", encoding="utf-8")

    def __enter__(self) -> Self:
        """Open the page."""
        from playwright.sync_api import sync_playwright

        self._started = sync_playwright().start()
        self._browser = self._started.chromium.launch(executable_path=self.executable, args=["--no-sandbox"])
        self.page = self._browser.new_page()
        self.page.set_default_timeout(600_000)
        self.page.goto(self.file.as_uri())
        return self

    def __call__(self, code: str, argument: Any = None) -> Any:
        """Run a function."""
        return self.page.evaluate(code, argument)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self._browser.close()
        self._started.stop()


def script(name: str) -> str:
    """Return one of the page's scripts."""
    return (SCRIPTS / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Net:
    """A network with random weights, as Keras's model and as the page's program.

    Attributes:
        config: Its config.
        model: Keras's.
        program: The page's.
    """

    config: Any
    model: Any
    program: Any

    @classmethod
    def of(cls, config: Any, shake: Callable[[Any], None]) -> Net:
        """Build the network of a config; `shake` gives it weights."""
        from cnncli.engine.evaluation.trained import Trained
        from cnncli.engine.exporting.source import Source
        from cnncli.engine.exporting.web_program import Program
        from cnncli.engine.input_pipeline.preprocessing import Preprocessing
        from cnncli.engine.network.model import build

        model = build(config)
        shake(model)
        trained = Trained(config, ("a", "b"), model, Preprocessing(config.data), "step-00000000")
        source: Any = Source(trained, None)  # type: ignore[arg-type]
        return cls(config, model, Program.of(source))

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of the image."""
        return tuple(self.config.input_shape)

    @cached_property
    def names(self) -> list[str]:
        """Names of the layers."""
        return [layer["name"] for layer in self.program.layers]

    @cached_property
    def maps(self) -> Any:
        """Keras's model whose outputs are those of every layer."""
        import keras

        return keras.Model(self.model.inputs[0], [self.model.get_layer(name).output for name in self.names])

    def page(self) -> dict[str, Any]:
        """Return the program and the weights as a page holds them."""
        height, width, channels = self.shape
        program = {"layers": self.program.layers, "height": height, "width": width, "channels": channels}
        program |= {"classes": [], "task": "classification"}
        return {"program": program, "weights": encoded(self.program.buffer())}

    def load(self, call: Call) -> None:
        """Hand the program over."""
        call("(argument) => load(argument)", self.page())

    def image(self, seed: int = 0) -> Any:
        """Return a random image of 0 to 255, half of it smooth."""
        generator = np.random.default_rng(seed)
        height, width, channels = self.shape
        rows, columns = np.mgrid[:height, :width]
        waves = np.sin(rows / 3 + seed)[..., None] * np.cos(columns / 4)[..., None] * np.ones(channels)
        noise = generator.normal(0, 30, (height, width, channels))
        return (127 + 90 * waves + noise).clip(0, 255).astype(np.uint8)

    def activations(self, image: Any) -> list[Any]:
        """Return Keras's output of every layer."""
        made = self.maps(np.float32(image)[None] * np.float32(1 / 255), training=False)
        return [np.asarray(values)[0] for values in (made if isinstance(made, list) else [made])]

    def units(self, number: int, seed: int = 0) -> list[list[int]]:
        """Return random units: [layer, row, column, channel]; every layer as often as any other."""
        generator = np.random.default_rng(seed)
        found = []
        for i in range(number):
            layer = i % len(self.names)
            found.append([layer, *(int(generator.integers(n)) for n in planes(self.program.layers[layer]["shape"]))])
        return found


def planes(shape: Sequence[int]) -> list[int]:
    """Return rows, columns and channels of any shape."""
    return [1, 1, 1, *shape][-3:]


def encoded(content: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(content).decode()


def numbers(text: str, kind: str = "<f8") -> Any:
    """Return the numbers of such a text."""
    return np.frombuffer(base64.b64decode(text), kind)


def page_maps(net: Net, call: Call, image: Any, before: str = "") -> list[Any]:
    """Return the page's output of every layer, after some statements."""
    code = f"(pixels) => {{ {before}; traced = network.trace(Float32Array.from(pixels)); return "
    found = call(code + "traced.outputs.map(encode); }", image.reshape(-1).tolist())
    pairs = zip(found, net.program.layers, strict=True)
    return [numbers(text, "<f4").reshape(layer["shape"]) for text, layer in pairs]


def largest_difference(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """Return the largest difference of maps, relative to each map's largest value where that is above 1."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a.reshape(-1) - b.reshape(-1)).max() / max(1, np.abs(b).max())) for a, b in pairs)


def recomputed(net: Net, call: Call, image: Any, at: list[list[int]]) -> float:
    """Return the largest relative difference of units' values from those of the numbers shown.

    The numbers read are looked up in the page's own maps. A value below a millionth of the products that make it is
    compared to that: where they cancel, a float32 has no digit left.
    """
    said = call(EXPLAIN, {"pixels": image.reshape(-1).tolist(), "at": at})
    inputs, weights, products, sources, places = (
        numbers(said[name]) for name in ("inputs", "weights", "products", "sources", "places")
    )
    own = page_maps(net, call, image)
    read = [(np.float32(image) / np.float32(255)).reshape(-1), *(values.reshape(-1) for values in own)]
    start, worst = 0, 0.0
    for one, unit in zip(said["found"], at, strict=True):
        mine = slice(start, start + one["length"])
        start += one["length"]
        x, w = inputs[mine], weights[mine]
        for source, place, value in zip(sources[mine], places[mine], x, strict=True):
            expected = read[int(source) + 1][int(place)] if place >= 0 else 0
            assert expected == value or np.isnan(value), (unit, one["kind"])
        value = value_of(one, x, w)
        shape = planes(net.program.layers[unit[0]]["shape"])
        assert one["value"] == own[unit[0]].reshape(shape)[tuple(unit[1:])], unit
        size = max(abs(one["value"]), 1e-6 * float(np.nansum(np.abs(products[mine]))), 1e-30)
        worst = max(worst, abs(value - one["value"]) / size, abs(one["after"] - one["value"]) / size)
    return worst


def value_of(one: dict[str, Any], x: Floats, w: Floats) -> float:
    """Return a unit's value from the numbers that are shown for it."""
    kind, told = one["kind"], one["formula"]["numbers"]
    key = one["formula"]["key"]
    if kind == "pool":
        return float(np.nanmax(x) if key == "max" else np.nanmean(x))
    if kind in ("maximum", "minimum"):
        return float(x.max() if kind == "maximum" else x.min())
    if kind == "multiply":
        return float(np.prod(x))
    if kind == "lrn":
        return float(told["x"] / (told["bias"] + told["alpha"] * (x**2).sum()) ** told["beta"])
    if key == "normalization":
        scaled = (told["x"] - told["mean"]) / np.sqrt(told["variance"] + told["epsilon"])
        return float(scaled * told["gamma"] + told["beta"])
    if key == "affine":
        return float(told["x"] * told["scale"] + told["shift"])
    if key == "rectify":
        rising = told["x"] if told["x"] >= told["threshold"] else told["slope"] * (told["x"] - told["threshold"])
        return float(rising if told["most"] is None else min(rising, told["most"]))
    total = float((x * w).sum()) + (one["bias"] or 0)
    return activated(one["activation"], total, one["siblings"])


def activated(name: str, value: float, siblings: list[float] | None) -> float:
    """Return Keras's activation of a number."""
    import keras

    if name == "linear":
        return value
    if name == "relu":
        return max(value, 0.0)
    if name == "tanh":
        return float(np.tanh(value))
    if siblings is not None:
        logits = np.array(siblings) - value
        return float(1 / np.exp(logits).sum() if name == "softmax" else -np.log(np.exp(logits).sum()))
    return float(np.asarray(keras.activations.get(name)(np.float64([[value]])))[0, 0])


Extent = tuple[int, int, int, int]
"""First and last row, first and last column."""


def framed(call: Call, at: list[list[int]]) -> list[dict[int, dict[str, Any]]]:
    """Return the page's receptive field of positions, by layer; -1 is the image."""
    found = call("(at) => at.map(([layer, ...place]) => units.field(layer, place))", at)
    return [{box["layer"]: box for box in boxes} for boxes in found]


def extent(box: dict[str, Any]) -> Extent:
    """Return a box as first and last row, first and last column."""
    return box["top"], box["top"] + box["height"] - 1, box["left"], box["left"] + box["width"] - 1


def fields_differ(net: Net, call: Call, at: list[list[int]]) -> list[str]:
    """Return where the page's receptive fields are not those of `cnn summary`.

    Where that counts an axis as seen from end to end, as behind Flatten, the page's frame only has to be inside.
    """
    from cnncli.layers.graph import shapes
    from cnncli.layers.receptive_field import views

    seen = views(net.config.nodes, shapes(net.config.nodes, net.config.input_shape), net.config.input_shape)
    by_name = {node.name: view for node, view in zip(net.config.nodes, seen, strict=True)}
    positions = [unit[:3] for unit in at]
    wrong = []
    for unit, boxes in zip(positions, framed(call, positions), strict=True):
        view = by_name[net.names[unit[0]]]
        # A layer that sees nothing but padding has no frame in the image.
        box = boxes.get(-1)
        places = unit[3 - len(view.axes) :] if len(view.axes) < 2 else unit[1:3]
        for axis, sight in enumerate(view.sights):
            if box is None:
                continue
            full, clipped = extent(box["full"])[2 * axis : 2 * axis + 2], extent(box)[2 * axis : 2 * axis + 2]
            if sight.advance == 0 or axis not in view.axes:
                if not (sight.first(0) <= clipped[0] and clipped[1] <= sight.last(0)):
                    wrong.append(f"{net.names[unit[0]]} {unit[1:]} axis {axis}: {clipped} outside the image")
                continue
            place = places[view.axes.index(axis)]
            expected = sight.first(place), sight.last(place)
            if expected != full:
                wrong.append(f"{net.names[unit[0]]} {unit[1:]} axis {axis}: {full}, expected {expected}")
    return wrong


LINEAR = {"MaxPooling": "AveragePooling", "GlobalMaxPooling": "GlobalAveragePooling"}


def linear(document: Any) -> Any:
    """Return a config's document without what can hide a pixel from a gradient: largest values, activations."""
    if isinstance(document, list):
        return [linear(part) for part in document]
    if document in ("ReLU", "LeakyReLU", "Softmax"):
        return {"Activation": {"activation": "linear"}}
    if isinstance(document, str):
        return document.replace("MaxPooling", "AveragePooling")
    if not isinstance(document, dict):
        return document
    found = {}
    for key, value in document.items():
        if key == "activation":
            found[key] = "linear"
        elif key in ("ReLU", "LeakyReLU", "Softmax"):
            kept = {name: value[name] for name in ("name", "inputs") if name in (value or {})}
            found["Activation"] = {"activation": "linear", **kept}
        else:
            found[linear(key)] = linear(value)
    return found


def positive(model: Any) -> None:
    """Give every weight a positive value, so that no two ways from a pixel to a unit cancel."""
    generator = np.random.default_rng(3)
    for weight in model.weights:
        if "seed" not in weight.path:
            size = 1 / np.sqrt(max(1, np.prod(weight.shape[:-1])))
            weight.assign(size * generator.uniform(0.5, 1.5, weight.shape))


def gradients_differ(net: Net, call: Call, at: list[list[int]]) -> list[str]:
    """Return where the hull of a unit's gradient is not the frame that the page draws; `net` is a linear network."""
    import tensorflow as tf

    image = tf.constant(np.float32(net.image())[None] / 255 + 0.5)
    maps = net.maps

    @tf.function(autograph=False)
    def gradient(image: Any, layer: Any, place: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(image)
            made = maps(image, training=False)
            values = [tf.reshape(values, [-1]) for values in made]
            chosen = tf.ragged.stack(values)[layer][place]
        return tape.gradient(chosen, image)[0]

    wrong = []
    for unit, boxes in zip(at, framed(call, at), strict=True):
        shape = planes(net.program.layers[unit[0]]["shape"])
        place = int(np.ravel_multi_index(unit[1:], shape))
        slope = np.abs(gradient(image, tf.constant(unit[0]), tf.constant(place)).numpy()).sum(-1)
        rows, columns = np.flatnonzero(slope.any(1)), np.flatnonzero(slope.any(0))
        expected = (rows[0], rows[-1], columns[0], columns[-1]) if len(rows) else None
        found = extent(boxes[-1]) if -1 in boxes and boxes[-1]["height"] * boxes[-1]["width"] else None
        if expected != found:
            wrong.append(f"{net.names[unit[0]]} {unit[1:]}: {found}, the gradient says {expected}")
    return wrong
