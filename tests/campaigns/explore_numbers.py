"""The numbers of the page that `cnn export --format web` and `cnn explore` write, proven in headless Chromium.

    python tests/campaigns/explore_numbers.py --number 1000

For six networks with random weights (LeNet-5, the full CIFAR-10 net with local response normalization, a residual, a
branching and a depthwise one, and one along a line), and for 1,000 random units each, spread evenly over the layers:

* the value recomputed in Python from the numbers that the page gives (patch · kernel + bias, then the activation)
  against the value of the map; the numbers read are looked up in the maps, too;
* every map against Keras's own output of that layer;
* the receptive field against that of `cnn summary`, and against the hull of the gradient of that unit in a network with
  positive weights, means in place of maxima and no activations, so that no gradient vanishes;
* the answer after kernels were replaced, and after channels were switched off, against Keras's with the same weights;
* a convolution's map of a shifted image against the shifted map, to the last bit;
* milliseconds of the first and of the median image, and of the slowest change of one layer, without and with a worker.

Without Chromium or Playwright, `--node` asks Node instead; there are no workers in it. The exit code is 1 if anything
differs by more than is promised.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.engine.exporting import web_numbers
from tests.engine.exporting.conftest import shake
from tests.engine.exporting.web_numbers import Call, Net

UNITS, MAPS = 1e-5, 1e-4
"""Largest differences that are promised: of a unit from its numbers, of a map from Keras's."""

IMAGE, CHANGE = 16.0, 150.0
"""Milliseconds that an image of LeNet-5, and a change of the other networks, may take."""

SHIPPED = ("lenet5", "cifar10_full", "conv1d", "cifar10_quick", "cifar10_small_alexnet")
ONLY_TIMED = ("cifar10_quick", "cifar10_small_alexnet")

BLOCKS = """
data: {source: cifar10, image_size: [32, 32], channels: 3}
model:
  blocks:
    unit:
      parameters: [filters, {strides: 1}]
      layers:
        - Conv2D: {filters: $filters, kernel_size: 3, strides: $strides, padding: same, use_bias: false}
        - BatchNormalization
        - ReLU
        - Conv2D: {filters: $filters, kernel_size: 3, padding: same, use_bias: false}
        - BatchNormalization
    inception:
      parameters: [f1, r3, f3, r5, f5, fp]
      layers:
        - Parallel:
            - [{Conv2D: {filters: $f1, kernel_size: 1, activation: relu}}]
            - - Conv2D: {filters: $r3, kernel_size: 1, activation: relu}
              - Conv2D: {filters: $f3, kernel_size: 3, padding: same, activation: relu}
            - - Conv2D: {filters: $r5, kernel_size: 1, activation: relu}
              - Conv2D: {filters: $f5, kernel_size: 5, padding: same, activation: relu}
            - - MaxPooling2D: {pool_size: 3, strides: 1, padding: same}
              - Conv2D: {filters: $fp, kernel_size: 1, activation: relu}
    inverted:
      parameters: [wide, filters, {strides: 1}]
      layers:
        - Conv2D: {filters: $wide, kernel_size: 1, use_bias: false}
        - BatchNormalization
        - ReLU: {max_value: 6.0}
        - DepthwiseConv2D: {kernel_size: 3, strides: $strides, padding: same, use_bias: false}
        - BatchNormalization
        - ReLU: {max_value: 6.0}
        - Conv2D: {filters: $filters, kernel_size: 1, use_bias: false}
        - BatchNormalization
  layers:
"""

DRAWN = {
    "residual": """
    - Conv2D: {filters: 16, kernel_size: 3, padding: same, activation: relu}
    - Residual: {layers: [{unit: {filters: 16}}]}
    - ReLU
    - Residual:
        layers: [{unit: {filters: 32, strides: 2}}]
        shortcut: [{Conv2D: {filters: 32, kernel_size: 1, strides: 2, use_bias: false}}, BatchNormalization]
    - ReLU
    - Residual: {layers: [{unit: {filters: 32}}]}
    - ReLU
    - Residual:
        layers: [{unit: {filters: 64, strides: 2}}]
        shortcut: [{Conv2D: {filters: 64, kernel_size: 1, strides: 2, use_bias: false}}, BatchNormalization]
    - ReLU
    - GlobalAveragePooling2D
    - Dense: {units: 10}
""",
    "branching": """
    - Conv2D: {filters: 16, kernel_size: 5, padding: same, activation: relu}
    - MaxPooling2D: {pool_size: 3, strides: 2, padding: same}
    - LocalResponseNormalization: {depth_radius: 2, alpha: 2e-5, beta: 0.75, bias: 1.0}
    - inception: {f1: 8, r3: 8, f3: 16, r5: 4, f5: 8, fp: 8}
    - inception: {f1: 16, r3: 8, f3: 16, r5: 4, f5: 8, fp: 8}
    - MaxPooling2D: {pool_size: 3, strides: 2, padding: same}
    - inception: {f1: 16, r3: 16, f3: 32, r5: 8, f5: 16, fp: 16}
    - GlobalAveragePooling2D
    - Dropout: {rate: 0.4}
    - Dense: {units: 10}
""",
    "depthwise": """
    - Rescaling: {scale: 2.0, offset: -1.0}
    - ZeroPadding2D: {padding: [[0, 1], [0, 1]]}
    - Conv2D: {filters: 16, kernel_size: 3, strides: 2, use_bias: false}
    - BatchNormalization
    - ReLU: {max_value: 6.0}
    - inverted: {wide: 32, filters: 16}
    - Residual: {layers: [{inverted: {wide: 48, filters: 16}}]}
    - inverted: {wide: 48, filters: 24, strides: 2}
    - SeparableConv2D: {filters: 32, kernel_size: 3, padding: same, depth_multiplier: 2, activation: relu}
    - Conv2D: {filters: 32, kernel_size: 3, padding: same, groups: 4, dilation_rate: 2, activation: relu}
    - GlobalAveragePooling2D
    - Dense: {units: 10}
""",
}

TIMED = """(pixels) => {
  const image = Float32Array.from(pixels);
  const timed = (what) => { const start = performance.now(); what(); return performance.now() - start; };
  const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
  const times = Array.from({ length: 30 }, () => timed(() => network.trace(image)));
  traced = network.trace(image);
  const change = (i) => median(Array.from({ length: 5 }, () => timed(() => network.update(traced, i))));
  const changes = network.layers.map((_, i) => change(i));
  return { first: times[0], median: median(times), change: Math.max(...changes) };
}"""

CLIENT = """async ({ program, weights, scripts, pixels }) => {
  const client = await makeClient(scripts, program, decode(weights));
  const image = Float32Array.from(pixels);
  const times = [];
  let found = null;
  for (let i = 0; i < 30; i++) {
    const start = performance.now();
    found = await client.call("trace", "shown", image);
    times.push(performance.now() - start);
  }
  traced = network.trace(image);
  const same = traced.outputs.every((map, i) => map.every((value, j) => value === found.outputs[i][j]));
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => client.latest("trace", "shown", image)));
  const layer = network.layers.findIndex(({ kind }) => kind === "conv");
  const unit = await client.call("explain", "shown", layer, [0, 0, 0]);
  const own = units.explain(traced, layer, [0, 0, 0]);
  let told = 0;
  client.onProgress("occlusion", () => told++);
  const { height, width, channels } = program;
  const covered = client.call("occlusion", { pixels: image, height, width, channels }, 0, 5, 3, 0);
  const heard = await client.call("answer", image);
  const { rows, columns, answers } = await covered;
  client.close();
  return {
    threaded: client.threaded,
    same: same && unit.value === own.value && JSON.stringify(unit.terms) === JSON.stringify(own.terms),
    given_up: [first, second, third].map((answer) => answer === null),
    progress: told,
    occlusion: answers.length === rows * columns && answers.every((value) => value >= 0 && value <= 1),
    answered: heard.probabilities.every((value, i) => value === traced.probabilities[i]),
    median: times.sort((a, b) => a - b)[15],
  };
}"""


def documents(wanted: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each network."""
    folder = Path(__file__).parents[2] / "configs"
    for name in SHIPPED:
        if not wanted or name in wanted:
            yield name, (folder / f"{name}.yaml").read_text(encoding="utf-8")
    for name, layers in DRAWN.items():
        if not wanted or name in wanted:
            yield name, f"name: {name}{BLOCKS}{layers.strip(chr(10))}\n"


def edited(net: Net, call: Call, number: int, silent: bool) -> float:
    """Return how far the page's maps are from Keras's after kernels were replaced, or channels switched off."""
    generator = np.random.default_rng(number)
    weighted = [i for i, layer in enumerate(net.program.layers) if layer["kind"] in ("conv", "depthwise", "dense")]
    if silent:
        weighted = [i for i in weighted[:-1] if net.program.layers[i]["kind"] == "conv"]
    image, worst = net.image(number), 0.0
    for _ in range(number):
        index = int(generator.choice(weighted))
        channel = int(generator.integers(net.program.layers[index]["shape"][-1]))
        layer = net.model.get_layer(net.names[index])
        kept = layer.get_weights()
        (size, places) = call(
            "([layer, channel]) => { const { indexes } = units.kernel(layer, channel); "
            "return [indexes.length, Array.from(indexes)]; }",
            [index, channel],
        )
        kernel = kept[0].copy()
        if silent:
            statement = f"network.silence({index}, {channel}, true)"
            kernel[..., channel] = 0
            changed = [kernel, *(np.where(np.arange(len(bias)) == channel, 0, bias) for bias in kept[1:])]
        else:
            values = generator.normal(0, 0.3, size).astype(np.float32)
            kernel.reshape(-1)[places] = values
            changed = [kernel, *kept[1:]]
            pairs = ", ".join(f"[{place}, {float(value)!r}]" for place, value in zip(places, values, strict=True))
            statement = f"for (const [place, value] of [{pairs}]) network.edit({index}, 'kernel', place, value)"
        untouched = net.activations(image)
        layer.set_weights(changed)
        theirs = net.activations(image)
        layer.set_weights(kept)
        ours = web_numbers.page_maps(net, call, image, statement)
        call("() => network.reset()")
        worst = max(worst, web_numbers.largest_difference(ours, theirs))
        if not any(np.abs(a - b).max() > 0 for a, b in zip(untouched, theirs, strict=True)) and not silent:
            raise SystemExit(f"{net.names[index]}: the change of a kernel changed nothing")
    return worst


def shifted(net: Net, call: Call) -> str:
    """Return whether a convolution of the image moves with it, for a few shifts."""
    found = [
        i
        for i, layer in enumerate(net.program.layers)
        if layer["kind"] == "conv" and layer["inputs"] == [-1] and layer["strides"] == [1, 1]
    ]
    if not found:
        return "no convolution of the image with stride 1"
    image, margin = net.image(), max(net.program.layers[found[0]]["size"])
    before = web_numbers.page_maps(net, call, image)[found[0]]
    for down, right in ((1, 0), (0, 2), (3, 2)):
        moved = np.zeros_like(image)
        moved[down:, right:] = image[: image.shape[0] - down, : image.shape[1] - right]
        after = web_numbers.page_maps(net, call, moved)[found[0]]
        rows, columns = after.shape[0] - margin, after.shape[1] - margin
        own = after[margin + down : rows, margin + right : columns]
        if not np.array_equal(own, before[margin : rows - down, margin : columns - right]):
            return "differs"
    return "equal"


def measured(name: str, text: str, call: Call, number: int, threads: bool) -> bool:
    """Print the figures of a network; return whether they are as promised."""
    from cnncli.config.load import loads

    began = time.monotonic()
    net = Net.of(loads(text), shake)
    net.load(call)
    image = net.image()
    times = call(TIMED, image.reshape(-1).tolist())
    maps = max(
        web_numbers.largest_difference(web_numbers.page_maps(net, call, one), net.activations(one))
        for one in map(net.image, range(3))
    )
    limit = IMAGE if name == "lenet5" else CHANGE
    good = maps <= MAPS and times["median"] <= limit and times["change"] <= limit
    said = [f"{len(net.names)} layers, maps {maps:.1e} from Keras's"]
    if name not in ONLY_TIMED:
        at = net.units(number)
        units = web_numbers.recomputed(net, call, image, at)
        summary = web_numbers.fields_differ(net, call, at)
        kernels, channels = edited(net, call, 10, silent=False), edited(net, call, 10, silent=True)
        moved = shifted(net, call)
        plain = Net.of(loads(yaml.safe_dump(web_numbers.linear(yaml.safe_load(text)))), web_numbers.positive)
        plain.load(call)
        gradients = web_numbers.gradients_differ(plain, call, plain.units(number))
        net.load(call)
        said += [
            f"{number} units {units:.1e} from their numbers",
            f"fields other than of cnn summary {len(summary)}, of gradients {len(gradients)}",
            f"after 10 kernels {kernels:.1e}, after 10 channels off {channels:.1e}",
            f"shifted map: {moved}",
            *summary[:3],
            *gradients[:3],
        ]
        good = good and units <= UNITS and not summary and not gradients and max(kernels, channels) <= MAPS
        good = good and moved != "differs"
    said.append(
        f"first image {times['first']:.1f} ms, median {times['median']:.1f}, slowest change {times['change']:.1f}"
    )
    if threads:
        scripts = [web_numbers.script(one) for one in web_numbers.SCRIPT_NAMES]
        found = call(CLIENT, {**net.page(), "scripts": scripts, "pixels": image.reshape(-1).tolist()})
        said.append(f"by a worker {found['median']:.1f} ms")
        expected = {
            "threaded": True,
            "same": True,
            "given_up": [False, True, False],
            "occlusion": True,
            "answered": True,
        }
        if any(found[key] != value for key, value in expected.items()) or found["median"] > limit:
            said.append(f"the worker: {found}")
            good = False
    print(f"{name:22} " + "; ".join(said) + f" ({time.monotonic() - began:.0f} s)", flush=True)
    return good


def main() -> int:
    """Measure all networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=1000, help="units of each network")
    parser.add_argument("--node", action="store_true", help="ask Node instead of Chromium")
    parser.add_argument("networks", nargs="*", help=f"some of {', '.join((*SHIPPED, *DRAWN))}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        runtime = web_numbers.Node() if args.node else web_numbers.Browser(str(browser), Path(folder))
        with runtime as call:
            texts = documents(args.networks)
            good = [measured(name, text, call, args.number, threads=not args.node) for name, text in texts]
            return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
