"""Random networks whose layers name what they read: shapes, counts and order of the weights equal Keras's.

    python tests/campaigns/random_graphs.py --number 500

Every network is written as a config, with `inputs`, composites, blocks with several uses, and one or more outputs; what
no layer reads is an output, or is merged into one. It is read, laid out and counted by the plain half. Keras builds the
same network from what the generator drew, not from our nodes: layer by layer in its functional words. Compared are each
layer's output shape, its counts, each weight's shape, the totals, and for every fifth network what both compute with
the same weights. The same seed makes the same networks; the exit code is 1 if anything differed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from cnncli.analysis.summary import summarize
from cnncli.config.dump import dump_document
from cnncli.config.load import loads

Arguments = dict[str, Any]
Shape = tuple[int, ...]

ELEMENTWISE = ("Add", "Multiply", "Maximum", "Minimum", "Average")


@dataclass
class Drawn:
    """A network in two forms.

    Attributes:
        document: The config.
        layers: Name, Keras class, arguments and names of the inputs of every layer, in order.
        outputs: Names of the layers that are outputs.
    """

    document: dict[str, Any]
    layers: list[tuple[str, str, Arguments, list[str]]] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


class Generator:
    """One random network.

    Args:
        rng: Where its randomness comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        height, width = rng.choice([8, 12, 16]), rng.choice([8, 12, 16])
        self.shapes: dict[str, Shape] = {"input": (height, width, rng.choice([1, 3]))}
        self.parts: list[Any] = []
        self.layers: list[tuple[str, str, Arguments, list[str]]] = []
        self.above = "input"

    def draw(self) -> Drawn:
        """Return the network."""
        for _ in range(self.rng.randint(4, 16)):
            self.rng.choice([self.single, self.single, self.merge, self.merge, self.residual, self.use])()
        outputs = self.unread()
        if len(outputs) > 1 and self.rng.random() < 0.5:
            outputs = [self.head(outputs)]
        height, width, channels = self.shapes["input"]
        model = {
            "blocks": {
                "gate": {
                    "parameters": ["units", "name"],
                    "layers": [
                        {"Activation": {"activation": "relu", "name": "plane"}},
                        {"GlobalAveragePooling2D": {"keepdims": True, "name": "mean"}},
                        {"Dense": {"units": "$units", "activation": "hard_sigmoid", "name": "gate"}},
                        {"Multiply": {"inputs": ["gate", "plane"], "name": "$name"}},
                    ],
                }
            },
            "layers": self.parts,
            **({"outputs": {f"output_{i}": name for i, name in enumerate(outputs)}} if len(outputs) > 1 else {}),
        }
        data = {"source": "folder", "path": "x", "image_size": [height, width], "channels": channels}
        return Drawn({"name": "random", "data": data, "model": model}, self.layers, outputs)

    def unread(self) -> list[str]:
        """Return the names of the layers that no other reads."""
        read = {name for *_, inputs in self.layers for name in inputs}
        return [name for name, *_ in self.layers if name not in read]

    def head(self, ends: list[str]) -> str:
        """Put the means of several layers' channels side by side, and weigh them for one output; return its name."""
        means = []
        for end in ends:
            means.append(self.name())
            self.parts.append({"GlobalMaxPooling2D": {**self.place([end]), "name": means[-1]}})
            self.record(means[-1], "GlobalMaxPooling2D", {}, [end], self.shapes[end][2:])
        both, logits = self.name(), f"{self.name()}_logits"
        self.parts.append({"Concatenate": {"inputs": means, "name": both}})
        self.record(both, "Concatenate", {}, means, (sum(self.shapes[name][0] for name in means),))
        self.parts.append({"Dense": {"units": 3, "name": logits}})
        self.record(logits, "Dense", {"units": 3}, [both], (3,))
        return logits

    def earlier(self) -> str:
        """Return the name of an earlier layer, or the input's; late ones more often."""
        names = list(self.shapes)
        return names[max(self.rng.randrange(len(names)), self.rng.randrange(len(names)))]

    def name(self) -> str:
        """Return a new name."""
        return f"n{len(self.shapes)}"

    def record(self, name: str, kind: str, arguments: Arguments, inputs: list[str], shape: Shape) -> None:
        """Note a layer for Keras, and its shape for later layers."""
        self.layers.append((name, kind, arguments, inputs))
        self.shapes[name], self.above = shape, name

    def place(self, inputs: list[str], many: bool = False) -> Arguments:
        """Return how a config says what is read: nothing, where that is the layer above and luck will have it."""
        if not many and inputs == [self.above] and self.rng.random() < 0.7:
            return {}
        return {"inputs": inputs if len(inputs) > 1 or self.rng.random() < 0.3 else inputs[0]}

    def single(self) -> None:
        """Add a layer with one input."""
        source, name = self.rng.choice([self.above, self.earlier()]), self.name()
        kind, arguments, shape = self.layer(self.shapes[source])
        self.parts.append({kind: {**arguments, **self.place([source]), "name": name}})
        self.record(name, kind, arguments, [source], shape)

    def layer(self, shape: Shape) -> tuple[str, Arguments, Shape]:
        """Return a layer that keeps an image one."""
        height, width, channels = shape
        filters, size = self.rng.choice([2, 3, 4, 6]), self.rng.choice([1, 2, 3])
        halved = ((height + 1) // 2, (width + 1) // 2, channels)
        choices: list[tuple[str, Arguments, Shape]] = [
            ("Conv2D", {"filters": filters, "kernel_size": size, "padding": "same"}, (height, width, filters)),
            ("Conv2D", {"filters": filters, "kernel_size": 1, "use_bias": False}, (height, width, filters)),
            ("DepthwiseConv2D", {"kernel_size": size, "padding": "same"}, shape),
            ("BatchNormalization", {}, shape),
            ("BatchNormalization", {"scale": False, "trainable": False}, shape),
            ("ReLU", {"max_value": 6.0}, shape),
            ("Activation", {"activation": "hard_swish"}, shape),
        ]
        if min(height, width) > 2:
            choices.append(("MaxPooling2D", {"padding": "same"}, halved))
            strided = {"filters": filters, "kernel_size": 3, "strides": 2, "padding": "same"}
            choices.append(("Conv2D", strided, (*halved[:2], filters)))
        if max(height, width) < 32:
            larger = (2 * height, 2 * width)
            choices.append(("UpSampling2D", {"interpolation": "bilinear"}, (*larger, channels)))
            choices.append(
                ("Conv2DTranspose", {"filters": filters, "kernel_size": 2, "strides": 2}, (*larger, filters))
            )
        return self.rng.choice(choices)

    def merge(self) -> None:
        """Add a layer that merges earlier ones of fitting shapes."""
        first, name = self.earlier(), self.name()
        height, width, channels = self.shapes[first]
        if self.rng.random() < 0.5:
            fitting = [n for n, shape in self.shapes.items() if shape[:2] == (height, width)]
            inputs = [first, *self.rng.choices(fitting, k=self.rng.randint(1, 3))]
            total = sum(self.shapes[n][2] for n in inputs)
            if total > 64:
                return
            kind, shape = "Concatenate", (height, width, total)
        else:
            fitting = [n for n, shape in self.shapes.items() if shape == (height, width, channels)]
            kind = self.rng.choice(ELEMENTWISE)
            inputs = [first, *self.rng.choices(fitting, k=self.rng.randint(1, 2))]
            shape = (height, width, channels)
        self.parts.append({kind: {**self.place(inputs, many=True), "name": name}})
        self.record(name, kind, {}, inputs, shape)

    def residual(self) -> None:
        """Add a Residual on an earlier layer; its sum has no name, so a layer after it has one."""
        source, inner, after = self.earlier(), self.name(), f"{self.name()}_after"
        channels = self.shapes[source][2]
        arguments = {"filters": channels, "kernel_size": 3, "padding": "same"}
        layers = [{"Conv2D": {**arguments, "name": inner}}]
        self.parts.append({"Residual": {**self.place([source]), "layers": layers}})
        self.record(inner, "Conv2D", arguments, [source], self.shapes[source])
        self.layers.append((f"{inner}_sum", "Add", {}, [inner, source]))
        self.parts.append({"ReLU": {"name": after}})
        self.record(after, "ReLU", {}, [f"{inner}_sum"], self.shapes[inner])

    def use(self) -> None:
        """Add a use of the block: a squeeze-and-excitation gate on an earlier layer."""
        source, name = self.earlier(), self.name()
        shape = self.shapes[source]
        self.parts.append({"gate": {"units": shape[2], "name": name, **self.place([source])}})
        plane, mean, gate = (f"{name}_{inner}" for inner in ("plane", "mean", "gate"))
        self.layers.append((plane, "Activation", {"activation": "relu"}, [source]))
        self.layers.append((mean, "GlobalAveragePooling2D", {"keepdims": True}, [plane]))
        self.layers.append((gate, "Dense", {"units": shape[2], "activation": "hard_sigmoid"}, [mean]))
        self.record(name, "Multiply", {}, [gate, plane], shape)


def compare(case: int, seed: int) -> str:
    """Return "equal" for one network, or what differs."""
    import keras

    from cnncli.engine.network.model import build_network

    drawn = Generator(random.Random(f"{seed} {case}")).draw()
    config = loads(dump_document(drawn.document))
    found = summarize(config)
    tensors = {"input": keras.Input(config.input_shape)}
    layers = []
    for name, kind, arguments, inputs in drawn.layers:
        given = [tensors[i] for i in inputs]
        trainable = arguments.get("trainable", True)
        layers.append(getattr(keras.layers, kind)(**{k: v for k, v in arguments.items() if k != "trainable"}))
        layers[-1].trainable = trainable
        tensors[name] = layers[-1](given if kind in (*ELEMENTWISE, "Concatenate") else given[0])
    for row, layer, (name, *_) in zip(found.rows, layers, drawn.layers, strict=True):
        if tuple(layer.output.shape[1:]) != row.output_shape:
            return f"{name}: {row.output_shape} for {tuple(layer.output.shape[1:])}"
        expected = [sum(prod(w.shape) for w in some) for some in (layer.trainable_weights, layer.non_trainable_weights)]
        if [row.trainable_params, row.non_trainable_params] != expected:
            return f"{name}: {row.trainable_params} and {row.non_trainable_params} parameters for {expected}"
    ends = [tensors[name] for name in drawn.outputs]
    theirs = keras.Model(tensors["input"], ends if len(ends) > 1 else ends[0])
    if found.total_params != theirs.count_params():
        return f"{found.total_params} for {theirs.count_params()} parameters"
    ours = build_network(config.nodes, config.input_shape, 0, config.outputs)
    if [w.shape for layer in layers for w in layer.weights] != [
        w.shape for node in config.nodes for w in ours.get_layer(node.name).weights
    ]:
        return "other weights"
    return "equal" if case % 5 else _computed(config, ours, layers, theirs)


def _computed(config: Any, ours: Any, layers: list[Any], theirs: Any) -> str:
    """Return "equal" if both networks compute the same with the same weights."""
    for node, layer in zip(config.nodes, layers, strict=True):
        layer.set_weights(ours.get_layer(node.name).get_weights())
    images = np.random.default_rng(0).uniform(size=(2, *config.input_shape)).astype(np.float32)
    expected, found = (network(images) for network in (theirs, ours))
    pairs = list(zip(expected, found.values(), strict=True)) if isinstance(found, dict) else [(expected, found)]
    largest = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) / (1 + float(np.abs(a).max())) for a, b in pairs)
    return "equal" if largest < 1e-4 else f"outputs differ by {largest:.1e}"


def verdicts(number: int, seed: int) -> Iterator[tuple[int, str]]:
    """Yield what was found of each network."""
    for case in range(number):
        yield case, compare(case, seed)


def main() -> int:
    """Run the campaign; return the exit code."""
    parser = argparse.ArgumentParser(description="Compare random networks with Keras.")
    parser.add_argument("--number", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    import keras

    told: Counter[str] = Counter()
    layers: Counter[str] = Counter()
    sizes, several = [], 0
    for case, verdict in verdicts(given.number, given.seed):
        told["equal" if verdict == "equal" else "different"] += 1
        drawn = Generator(random.Random(f"{given.seed} {case}")).draw()
        layers.update(kind for _, kind, *_ in drawn.layers)
        sizes.append(len(drawn.layers))
        several += len(drawn.outputs) > 1
        if verdict != "equal":
            print(f"network {case}: {verdict}")
        keras.backend.clear_session()
    print(
        f"{given.number} networks of {min(sizes)} to {max(sizes)} layers, {several} with several outputs: {dict(told)}"
    )
    print(f"layers: {', '.join(f'{kind} {count}' for kind, count in layers.most_common())}")
    return int(told["different"] > 0)


if __name__ == "__main__":
    sys.exit(main())
