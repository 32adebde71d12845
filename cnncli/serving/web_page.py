"""Exported pages, their JavaScript run by Node or a browser without a window.

Such a page is a program: commands run a stranger's only when told to (`kinds.refuse_program`). Node, from version 20,
then keeps it from other files and from starting processes; not from the network, which it cannot.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.tasks.detection import NUM_EDGES
from cnncli.errors import ExportError
from cnncli.files.read import parse_json, read_bytes
from cnncli.serving.artifact import Artifact, Pixels, Runtime
from cnncli.serving.description import AGAIN, Description, missing
from cnncli.tasks.outputs import NamedOutputs

MOST_PAGE = 2**29
"""Most bytes of a page: a longer text Node cannot hold."""

NODES = ("node", "nodejs")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")

Numbers = npt.NDArray[np.float32]

_NETWORK = """
const fs = require("fs");
const text = fs.readFileSync(process.argv[1], "utf8");
const part = (id) => text.match(new RegExp(`<script[^>]* id="${id}">([^]*?)</script>`))[1];
const make = new Function(part("engine") + "; return makeNetwork;")();
const weights = Buffer.from(part("weights"), "base64");
const buffer = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length);
const network = make(JSON.parse(part("network")), buffer);
"""
"""Takes a page's network out of it, in Node."""

_ANSWER = """
const [images, answers, number, height, width, channels] = process.argv.slice(2);
const pixels = new Uint8Array(fs.readFileSync(images));
const size = height * width * channels;
const found = [];
for (let i = 0; i < number; i++) {
  const part = pixels.subarray(i * size, (i + 1) * size);
  const values = network.predict({ pixels: part, height: +height, width: +width, channels: +channels });
  found.push(Buffer.from(Float32Array.from(values).buffer));
}
fs.writeFileSync(answers, Buffer.concat(found));
"""

_MEASURE = """
const { height, width, channels } = network.program;
const pixels = Uint8Array.from({ length: height * width * channels }, (_, i) => (i * 7919) % 256);
const image = { pixels, height, width, channels };
const time = (size) => {
  const start = performance.now();
  for (let i = 0; i < size; i++) network.predict(image);
  return (performance.now() - start) / 1000;
};
const times = (size) => {
  for (let i = 0; i < 3; i++) time(size);
  const found = [];
  let total = 0;
  while (found.length < 100 && (found.length < 5 || total < 3)) {
    found.push(time(size));
    total += found[found.length - 1];
  }
  return found;
};
const found = { 1: times(1), 32: times(32) };
console.log(JSON.stringify({ times: found, peak_memory_bytes: process.resourceUsage().maxRSS * 1024 }));
"""

_BROWSER = """<script>
{
  const pixels = Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0));
  const [number, height, width, channels] = %s;
  const size = height * width * channels;
  let text = "";
  for (let i = 0; i < number; i++) {
    const image = { pixels: pixels.subarray(i * size, (i + 1) * size), height, width, channels };
    const bytes = new Uint8Array(Float32Array.from(network.predict(image)).buffer);
    for (const byte of bytes) text += String.fromCharCode(byte);
  }
  document.body.innerHTML = "ANSWER " + btoa(text) + " END";
}
</script>"""
"""What is put behind a page to ask it about images."""


def absent() -> ExportError | None:
    """Return an error where no JavaScript can be run here."""
    if _first(NODES) or _first(BROWSERS):
        return None
    return ExportError(
        "verifying a page requires running it, and neither node nor a Chromium browser was found", "Install Node.js."
    )


def _first(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


def open_web(path: Path) -> Artifact:
    """Open a page that `cnn export` wrote.

    Raises:
        ExportError: If it says nothing about itself, or no JavaScript can be run here.
    """
    try:
        text = read_bytes(path, MOST_PAGE).decode()
    except (OSError, UnicodeDecodeError):
        raise missing(str(path)) from None
    found = re.search(r'<script type="application/json" id="network">(.*?)</script>', text, re.DOTALL)
    if found is None:
        raise missing(str(path))
    try:
        network = parse_json(found[1])
    except ValueError as damage:
        raise ExportError(f"{path}: its embedded network is damaged: {damage}", AGAIN) from damage
    if not isinstance(network, dict) or not isinstance(network.get("description"), str):
        raise missing(str(path))
    description = Description.from_json(network["description"], str(path))
    error = absent()
    if error is not None:
        raise error
    compute = in_node(path) if _first(NODES) else in_browser(path)
    named = NAMED.get(description.task)
    return Artifact("web", description, compute if named is None else _with_names(compute, named, description))


def _with_names(compute: Runtime, named: Named, about: Description) -> Runtime:
    """Return what names the numbers that a page answers with for each image."""
    return lambda images: named(compute(images)["probabilities"], about)


def _masks(numbers: Numbers, about: Description) -> NamedOutputs:
    """Return the class of each pixel, which comes first, and the probabilities."""
    plane = about.height * about.width
    expected = plane * (1 + len(about.classes))
    if numbers.shape[1] != expected:
        raise ExportError(f"the page answered with {numbers.shape[1]:,} numbers an image, expected {expected:,}")
    shape = (len(numbers), about.height, about.width)
    mask = numbers[:, :plane].astype(np.uint8).reshape(shape)
    return {"mask": mask, "probabilities": numbers[:, plane:].reshape(*shape, -1)}


def _boxes(numbers: Numbers, _: Description) -> NamedOutputs:
    """Return the edges of all boxes, which come first, their classes and their scores."""
    number, rest = divmod(numbers.shape[1], NUM_EDGES + 2)
    if rest:
        raise ExportError(f"the page answered with {numbers.shape[1]:,} numbers an image, expected six a box")
    boxes, classes, scores = np.split(numbers, [NUM_EDGES * number, (NUM_EDGES + 1) * number], axis=1)
    return {
        "boxes": boxes.reshape(len(numbers), number, NUM_EDGES),
        "classes": classes.astype(np.int32),
        "scores": scores,
    }


Named = Callable[[Numbers, Description], NamedOutputs]
NAMED: dict[str, Named] = {"segmentation": _masks, "detection": _boxes}
"""By task: what takes a page's numbers for each image apart; a classifier's are the probabilities."""


def in_node(path: Path) -> Runtime:
    """Return what asks a page's network in Node."""
    node, page = str(_first(NODES)), path.resolve()

    def compute(images: Pixels) -> NamedOutputs:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made).resolve()
            asked, answered = folder / "images", folder / "answers"
            asked.write_bytes(images.tobytes())
            command = [
                *_fenced(node, [page, asked], answered),
                "-e",
                _NETWORK + _ANSWER,
                str(page),
                str(asked),
                str(answered),
                *map(str, images.shape),
            ]
            _run(command, path)
            return _probabilities(answered.read_bytes(), images)

    return compute


def measured(path: Path) -> dict[str, Any] | None:
    """Return the seconds of calls with 1 and with 32 images, and the peak memory, in Node; None without Node."""
    node = _first(NODES)
    if node is None:
        return None
    page = path.resolve()
    found: dict[str, Any] = json.loads(_run([*_fenced(node, [page]), "-e", _NETWORK + _MEASURE, str(page)], path))
    return found


def _fenced(node: str, reads: list[Path], write: Path | None = None) -> list[str]:
    """Return the command for Node with rights to these files only, where it knows such rights."""
    version = _major_version(node)
    if version < 20:
        return [node]
    rights = ["--permission" if version >= 24 else "--experimental-permission"]
    rights += [f"--allow-fs-read={path}" for path in reads]
    return [node, *rights, *([] if write is None else [f"--allow-fs-write={write}"])]


@cache
def _major_version(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - Node itself
    found = re.match(r"v(\d+)\.", done.stdout)
    return int(found[1]) if found else 0


def in_browser(path: Path) -> Runtime:
    """Return what asks a page's network in a Chromium browser without a window."""
    browser = _first(BROWSERS)

    def compute(images: Pixels) -> NamedOutputs:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            script = _BROWSER % (base64.b64encode(images.tobytes()).decode(), json.dumps(list(images.shape)))
            page.write_text(path.read_text(encoding="utf-8") + script, encoding="utf-8")
            flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
            heard = _run([str(browser), *flags, "--dump-dom", page.as_uri()], path)
            found = re.search(r"ANSWER (\S*) END", heard)
            if found is None:
                raise ExportError(f"{path}: the browser returned no result")
            return _probabilities(base64.b64decode(found[1]), images)

    return compute


def _probabilities(content: bytes, images: Pixels) -> NamedOutputs:
    """Return the numbers that a page wrote for each image."""
    if not content or len(content) % (4 * len(images)):
        raise ExportError(f"the page answered with {len(content)} bytes for {len(images)} images, expected 4 a number")
    return {"probabilities": np.frombuffer(content, "<f4").reshape(len(images), -1)}


def _run(command: list[str], path: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a JavaScript runtime
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "Error" in line] or ["no message"]
        raise ExportError(f"{path}: its JavaScript fails: {lines[0][:200]}")
    return done.stdout
