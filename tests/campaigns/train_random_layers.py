"""Random layers, each in a small network: what `cnn check` lets pass must train, and compute what Keras does.

    python tests/campaigns/train_random_layers.py --number 1000

For every network that loads and is checked without an error: its shapes are those that the plain half foretold, two
training steps pass without an exception and with finite losses, and its outputs and gradients agree with Keras's own
layers in float64 (central differences, weight by weight). Memory is handed out filled with large numbers (glibc's
MALLOC_PERTURB_), so that an operation that reads what it never wrote is seen. Networks run in a child process, so that
a crash of TensorFlow costs one of them. The same seed makes the same networks; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from cnncli.analysis.check import check
from cnncli.config.dump import dump_document
from cnncli.config.load import loads
from cnncli.config.schema.schema import Config
from cnncli.errors import ConfigError
from cnncli.layers import VOCABULARY
from cnncli.layers.arguments import ActivationName, Interpolation
from cnncli.layers.base import Merge
from cnncli.layers.graph import shapes

PRECISIONS = ("float32", "float32", "mixed_bfloat16", "mixed_float16")
TOLERANCE = {"float32": 2e-3, "mixed_bfloat16": 0.25, "mixed_float16": 0.05}
"""Largest difference of a gradient along a random direction, as a share of the gradient's norm."""

BATCH = 5
Arguments = dict[str, Any]


def sizes(rng: random.Random, num_axes: int, most: int, least: int = 1) -> Any:
    """Return one number for all axes, or one for each."""
    if num_axes == 1 or rng.random() < 0.5:
        return rng.randint(least, most)
    return [rng.randint(least, most) for _ in range(num_axes)]


def sometimes(rng: random.Random, share: float, **choices: Callable[[], Any]) -> Arguments:
    """Return each argument with a probability."""
    return {name: make() for name, make in choices.items() if rng.random() < share}


def convolution(rng: random.Random, axes: int, channels: int) -> Arguments:
    """Return arguments of a convolution."""
    groups = rng.choice([n for n in range(1, channels + 1) if channels % n == 0])
    return {
        "filters": groups * rng.randint(1, 4),
        "kernel_size": sizes(rng, axes, 4),
        **sometimes(
            rng,
            0.4,
            strides=lambda: sizes(rng, axes, 4),
            dilation_rate=lambda: sizes(rng, axes, 3),
            padding=lambda: rng.choice(["same", "valid", *(["causal"] if axes == 1 else [])]),
            groups=lambda: groups,
            activation=lambda: rng.choice(ActivationName.__args__),
            use_bias=lambda: False,
        ),
    }


def per_channel(rng: random.Random, axes: int, channels: int) -> Arguments:
    """Return arguments of a depthwise convolution."""
    arguments = convolution(rng, axes, channels)
    del arguments["filters"]
    arguments.pop("groups", None)
    return arguments | sometimes(rng, 0.4, depth_multiplier=lambda: rng.randint(1, 3))


def separable(rng: random.Random, axes: int, channels: int) -> Arguments:
    """Return arguments of a separable convolution."""
    return {"filters": rng.randint(1, 6), **per_channel(rng, axes, channels)}


def transposed(rng: random.Random, axes: int, channels: int) -> Arguments:
    """Return arguments of a transposed convolution."""
    arguments = convolution(rng, axes, channels)
    arguments.pop("groups", None)
    return arguments | sometimes(rng, 0.4, output_padding=lambda: sizes(rng, axes, 3, 0))


def pooling(rng: random.Random, axes: int, channels: int) -> Arguments:
    """Return arguments of a pooling."""
    return sometimes(
        rng,
        0.6,
        pool_size=lambda: sizes(rng, axes, 5),
        strides=lambda: sizes(rng, axes, 5),
        padding=lambda: rng.choice(["same", "valid"]),
    )


def edges(rng: random.Random) -> Any:
    """Return what is added or cut off on the sides of an image."""
    return rng.choice(
        [rng.randint(0, 3), [rng.randint(0, 3), rng.randint(0, 3)], [[rng.randint(0, 4), 0], [1, rng.randint(0, 4)]]]
    )


def affine(rng: random.Random) -> Arguments:
    """Return arguments that the normalizations share."""
    return sometimes(rng, 0.3, center=lambda: False, scale=lambda: False, epsilon=lambda: rng.choice([1e-7, 1e-3, 1.0]))


def small(rng: random.Random) -> float:
    """Return a number between 0 and 2."""
    return round(rng.uniform(0, 2), 2)


MAKERS: dict[str, Callable[[random.Random, int, int], Arguments]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), convolution),
    "DepthwiseConv2D": per_channel,
    "SeparableConv2D": separable,
    "Conv2DTranspose": transposed,
    **{f"{kind}Pooling{axes}D": pooling for kind in ("Max", "Average") for axes in (1, 2, 3)},
    **{
        f"Global{kind}Pooling{axes}D": lambda rng, _, __: sometimes(rng, 0.5, keepdims=lambda: True)
        for kind in ("Max", "Average")
        for axes in (1, 2, 3)
    },
    "Dense": lambda rng, _, __: {"units": rng.randint(1, 5), **sometimes(rng, 0.3, use_bias=lambda: False)},
    "Reshape": lambda rng, _, channels: {
        "target_shape": rng.choice([[-1], [-1, channels], [channels, -1], [1, -1, channels], [-1, 1, 1]])
    },
    "Permute": lambda rng, axes, _: {"dims": rng.sample(range(1, axes + 2), axes + 1)},
    "ChannelPadding": lambda rng, _, __: {"padding": [rng.randint(-2, 3), rng.randint(-2, 3)]},
    "LayerScale": lambda rng, _, __: sometimes(rng, 0.5, init_values=lambda: small(rng)),
    "Dropout": lambda rng, _, __: {"rate": rng.choice([0.0, 0.3, 0.9])},
    "SpatialDropout2D": lambda rng, _, __: {"rate": rng.choice([0.0, 0.3, 0.9])},
    "BatchNormalization": lambda rng, _, __: affine(rng) | sometimes(rng, 0.3, momentum=lambda: rng.choice([0, 1.0])),
    "LayerNormalization": lambda rng, _, __: affine(rng),
    "GroupNormalization": lambda rng, _, __: affine(rng) | {"groups": rng.choice([-1, 1, 2, 3, 4])},
    "LocalResponseNormalization": lambda rng, _, __: sometimes(
        rng,
        0.6,
        depth_radius=lambda: rng.randint(0, 9),
        bias=lambda: rng.choice([1e-3, 1.0, 2.0]),
        alpha=lambda: small(rng),
        beta=lambda: small(rng),
    ),
    "Activation": lambda rng, _, __: {"activation": rng.choice(ActivationName.__args__)},
    "ReLU": lambda rng, _, __: sometimes(
        rng, 0.5, max_value=lambda: small(rng), negative_slope=lambda: small(rng), threshold=lambda: small(rng)
    ),
    "LeakyReLU": lambda rng, _, __: sometimes(rng, 0.5, negative_slope=lambda: small(rng)),
    "ZeroPadding2D": lambda rng, _, __: {"padding": edges(rng)},
    "Cropping2D": lambda rng, _, __: {"cropping": edges(rng)},
    "UpSampling2D": lambda rng, _, __: {
        "size": sizes(rng, 2, 3),
        **sometimes(rng, 0.8, interpolation=lambda: rng.choice(Interpolation.__args__)),
    },
    "Rescaling": lambda rng, _, __: {"scale": small(rng), "offset": small(rng)},
    "Normalization": lambda rng, _, channels: {
        "mean": rng.choice([0.5, [0.5] * channels]),
        "variance": rng.choice([2.0, [2.0] * channels]),
    },
    "Resizing": lambda rng, _, __: {
        "height": rng.randint(1, 12),
        "width": rng.randint(1, 12),
        **sometimes(rng, 0.8, interpolation=lambda: rng.choice(Interpolation.__args__)),
    },
}
"""How the arguments of each layer are made; those left out have none."""


ONE_INPUT = tuple(name for name, layer in VOCABULARY.items() if not issubclass(layer, Merge))
"""Layers that are tried; those with several inputs are in `random_graphs.py`."""


def make(case: int, seed: int, names: tuple[str, ...] = ONE_INPUT) -> str:
    """Return a config as YAML whose network is one random layer between two that learn."""
    rng = random.Random(f"{seed}/{case}")
    name = rng.choice(names)
    axes = next((n for n in (1, 3) if f"{n}D" in name), 2)
    most = rng.choice((12, 12, 12, 40))
    height, width, channels = rng.randint(1, most), rng.randint(1, most), rng.choice((1, 2, 3, 4, 6, 8))
    arguments = MAKERS[name](rng, axes, channels) if name in MAKERS else {}
    depth = rng.choice([n for n in range(1, height + 1) if height % n == 0])
    as_axes: dict[int, list[Any]] = {
        1: [{"Reshape": {"target_shape": [height * width, channels]}}],
        2: [],
        3: [{"Reshape": {"target_shape": [depth, height // depth, width, channels]}}],
    }
    before = {"Conv2D": {"filters": channels, "kernel_size": 1}}
    layers = [before, *as_axes[axes], {name: arguments} if arguments else name, "Flatten", {"Dense": {"units": 10}}]
    return dump_document(
        {
            "name": f"case{case}",
            "seed": case,
            "data": {"source": "digits", "image_size": [height, width], "channels": rng.choice((1, 3))},
            "model": {"layers": layers},
            "train": {"batch_size": BATCH, "precision": rng.choice(PRECISIONS), "optimizer": {"SGD": {}}},
        }
    )


def checked(text: str) -> Config | str:
    """Return the config of a text, or the code of the first error that `cnn check` finds in it."""
    try:
        config = loads(text, "case")
        errors = [problem.code for problem in check(config) if problem.severity == "error"]
    except ConfigError as error:
        errors = [problem.code for problem in error.problems]
    return errors[0] if errors else config


def judge(text: str) -> str:
    """Return "trained", the code of the error that `cnn check` finds, or else what went wrong."""
    import keras

    config = checked(text)
    if isinstance(config, str):
        return config
    try:
        keras.config.set_dtype_policy(config.train.precision)
        return _train(config) or _compare(config)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the campaign looks for
        return f"FAILED {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    finally:
        keras.config.set_dtype_policy("float32")


def _train(config: Config) -> str | None:
    """Train two steps as `cnn train` does; return what is wrong."""
    import numpy as np
    import tensorflow as tf

    from cnncli.engine.input_pipeline.feed import Chunk
    from cnncli.engine.training.setup import make_step_loop

    loop = make_step_loop(config)
    found = [tuple(layer.output.shape[1:]) for layer in loop.model.layers[1:]]
    foretold = list(shapes(config.nodes, config.input_shape))
    if found != foretold:
        return f"FAILED shapes {found}, foretold {foretold}"
    rng = np.random.default_rng(config.seed)
    images = tf.constant(rng.integers(0, 256, (2 * BATCH, *config.input_shape), np.uint8))
    plan = np.arange(2 * BATCH, dtype=np.int32).reshape(2, BATCH)
    labels = tf.constant(rng.integers(0, 10, 2 * BATCH), tf.int32)
    losses = loop.run(Chunk(images, labels, plan, BATCH), np.full((2, 1), 1e-3, np.float32), 0)
    return None if len(losses) == 2 else f"FAILED loss or gradient not finite after {len(losses)} steps"


def _compare(config: Config) -> str:
    """Compare outputs and gradients with Keras's in float64; return the verdict."""
    import numpy as np
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    ours = build_network(config.nodes, config.input_shape, config.seed)
    rng = np.random.default_rng(config.seed)
    for weight in ours.trainable_weights:  # a bias that begins with zeros hides much
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    images = rng.normal(size=(BATCH, *config.input_shape))
    kinds = {node.layer.type_name() for node in config.nodes}
    training = not kinds & {"Dropout", "SpatialDropout2D"}
    # TensorFlow resizes in float32 always; but linearly, so that a long way has the same slope.
    step = 1e-2 if kinds & {"UpSampling2D", "Resizing"} else 1e-6
    exact = _in_float64(config, ours.get_weights())
    if exact is None:
        return "trained, nothing to compare with"
    upstream = rng.normal(size=(BATCH, 10))
    with tf.GradientTape() as tape:
        outputs = ours(tf.constant(images, tf.float32), training=training)
        total = tf.reduce_sum(outputs * tf.constant(upstream, tf.float32))
    gradients = tape.gradient(total, [weight.value for weight in ours.trainable_weights])
    expected = np.asarray(exact(images, training=training))
    tolerance = TOLERANCE[config.train.precision]
    if not np.allclose(outputs, expected, rtol=0, atol=tolerance * (np.abs(expected).max() + 1e-3)):
        return f"FAILED outputs differ by {np.abs(outputs - expected).max():.2g} of {np.abs(expected).max():.2g}"
    total_norm = float(tf.linalg.global_norm(gradients))
    for weight, gradient in zip(exact.trainable_weights, gradients, strict=True):
        direction = rng.normal(size=weight.shape)
        start, ends = np.asarray(weight), []
        for sign in (1, -1):
            weight.assign(start + sign * step * direction)
            ends.append(np.sum(np.asarray(exact(images, training=training)) * upstream))
        weight.assign(start)
        slope, found = (ends[0] - ends[1]) / (2 * step), np.sum(np.asarray(gradient) * direction)
        if abs(slope - found) > tolerance * (np.linalg.norm(gradient) + abs(slope) + total_norm / 10):
            return f"FAILED gradient of {weight.path}: {found:.4g} along a direction with slope {slope:.4g}"
    return "trained"


def _in_float64(config: Config, weights: list[Any]) -> Any:
    """Return the network of Keras's own layers in float64, or None where TensorFlow has no such operation."""
    import keras
    import tensorflow as tf

    from cnncli.layers.graph import Node

    keras.config.set_dtype_policy("float64")
    try:
        inputs = tensor = keras.Input(config.input_shape)
        for node in config.nodes:
            assert isinstance(node, Node)
            tensor = getattr(keras.layers, node.layer.type_name())(**node.layer.keras_arguments())(tensor)
        model = keras.Model(inputs, tensor)
        model.set_weights(weights)
        with tf.device("CPU"):
            model(tf.zeros((BATCH, *config.input_shape), tf.float64))
        return model
    except Exception:  # noqa: BLE001 - what Keras cannot compute by itself is no failure of ours
        return None
    finally:
        keras.config.set_dtype_policy(config.train.precision)


def child(seed: int, cases: list[int], names: tuple[str, ...]) -> None:
    """Judge cases; print each one's number before, and its verdict after."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2)  # batches in halves, as on two cores
    for number, case in enumerate(cases):
        print(json.dumps([case, None]), flush=True)
        print(json.dumps([case, judge(make(case, seed, names))]), flush=True)
        if number % 50 == 49:
            import keras

            keras.backend.clear_session()


def verdicts(number: int, seed: int, names: tuple[str, ...], first: int = 0) -> Iterator[tuple[int, str]]:
    """Judge networks in child processes; one that a signal ends has its case for the verdict."""
    left = list(range(first, first + number))
    while left:
        batch, begun, done = left[:200], None, set()
        numbers = json.dumps([seed, batch, names])
        with subprocess.Popen(
            [sys.executable, __file__, "--child", numbers],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "MALLOC_PERTURB_": "1"},
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                case, verdict = json.loads(line)
                if verdict is None:
                    begun = case
                else:
                    done.add(case)
                    yield case, verdict
        if len(done) < len(batch):
            if begun is None or begun in done:
                raise RuntimeError(f"the child ended with {process.returncode} outside a case")
            done.add(begun)
            yield begun, f"FAILED the process ended with {process.returncode}"
        left = [case for case in left if case not in done]


def main() -> int:
    """Run a campaign and print its figures."""
    parser = argparse.ArgumentParser(description="Train random layers.")
    parser.add_argument("--number", type=int, default=1000, help="networks to make")
    parser.add_argument("--seed", type=int, default=0, help="seed of the campaign")
    parser.add_argument("--first", type=int, default=0, help="number of the first network")
    parser.add_argument("--layers", nargs="*", default=list(ONE_INPUT), help="layers to try")
    parser.add_argument("--show", type=int, help="print and judge one network instead")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        seed, cases, names = json.loads(arguments.child)
        child(seed, cases, tuple(names))
        return 0
    names = tuple(arguments.layers)
    if arguments.show is not None:
        text = make(arguments.show, arguments.seed, names)
        print(text, judge(text), sep="\n")
        return 0
    counts: Counter[str] = Counter()
    failures = 0
    for case, verdict in verdicts(arguments.number, arguments.seed, names, arguments.first):
        failed = verdict.startswith("FAILED")
        counts["failed" if failed else verdict] += 1
        failures += failed
        if failed:
            text = make(case, arguments.seed, names)
            config = loads(text, "case")
            layer = config.document["model"]["layers"][1:-2]
            print(f"case {case} {config.input_shape} {config.train.precision} {layer}")
            print(f"    {verdict}", flush=True)
    print(f"networks  {sum(counts.values()):,} of {len(names)} layers")
    print("verdicts  " + ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
