"""How fast a network runs here, where its time goes, and what the machine could do at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from statistics import median
from time import perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnncli.analysis.summary import summarize
from cnncli.config.schema.schema import Config
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.fast_ops import batch_halves
from cnncli.engine.input_pipeline.feed import Chunk
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.model import build
from cnncli.engine.runtime import configure, device_name
from cnncli.engine.training.setup import make_step_loop
from cnncli.engine.training.step_loop import StepLoop
from cnncli.layers.graph import INPUT

REPEATS = 7
SECONDS = 0.5
MOST_CALLS = 5000
"""Calls with one image each: a hundred of a small network are done in 15 ms, in which others may have the processor."""
LATENCY_SECONDS = 3.0
"""Time given to them, as by `cnn export --bench`."""
PRODUCTS = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (16_384, 512, 64))
"""Rows, inner size and columns of matrix products, of which the fastest shows a processor's peak.

Which it is depends on the caches; the last has the shape of a convolution's.
"""
GPU_PRODUCTS = ((2048, 2048, 2048), (8192, 8192, 8192))


@dataclass(frozen=True)
class LayerTime:
    """Time of one layer for one batch, measured alone.

    Attributes:
        name: Name of the layer.
        type: Keras's class.
        forward_ms: Milliseconds of the forward pass.
        backward_ms: Milliseconds of the gradients with respect to its input and weights.
        macs: Multiply-accumulate operations of the forward pass for one example.
    """

    name: str
    type: str
    forward_ms: float
    backward_ms: float
    macs: int


@dataclass(frozen=True)
class Bench:
    """What was measured; medians of several repeats.

    Attributes:
        device: Name of the device.
        precision: Of the config.
        batch_size: Examples a training step.
        images_per_second: In training.
        inference_images_per_second: In evaluation.
        step_ms: Milliseconds of a training step.
        peak_gflops: Billions of operations a second of the fastest of several matrix products in the same precision.
        peak_share: Operations of the training step as a share of that peak.
        layers: Each layer alone, its images not folded: their sum can exceed the step's time.
    """

    device: str
    precision: str
    batch_size: int
    images_per_second: float
    inference_images_per_second: float
    step_ms: float
    peak_gflops: float
    peak_share: float
    layers: tuple[LayerTime, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn bench --json`."""
        return asdict(self)


@dataclass(frozen=True)
class Latency:
    """Time that the network takes for one image.

    Attributes:
        device: Name of the device.
        precision: Of the config.
        num_calls: Number of calls measured.
        latency_ms: Median of their times in milliseconds.
        p95_ms: 95th percentile.
    """

    device: str
    precision: str
    num_calls: int
    latency_ms: float
    p95_ms: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn bench --latency --json`."""
        return asdict(self)


def latency(config: Config) -> Latency:
    """Measure a config's network on single random images, with the threads of its training; nothing is written."""
    configure(config)
    model, preprocessing = build(config), Preprocessing(config.data)
    image = _examples(1, config.input_shape)
    forward = tf.function(lambda: model(preprocessing.to_float(image), training=False))
    about = _seconds(forward, REPEATS)
    times = _times(forward, max(REPEATS, min(MOST_CALLS, int(LATENCY_SECONDS / about))))
    typical, slow = (float(share) * 1e3 for share in np.percentile(times, [50, 95]))
    return Latency(device_name(), config.train.precision, len(times), typical, slow)


def bench(config: Config) -> Bench:
    """Measure a config's network on random images; nothing is written."""
    configure(config)
    loop = make_step_loop(config)
    precision = config.train.precision
    before = _peak_flops(precision)  # and after: other programs may slow down one of them
    step = _step_seconds(config, loop)
    predictor = Predictor(loop.model, loop.preprocessing)
    inference = _inference_seconds(config, predictor)
    peak = max(before, _peak_flops(precision))
    batch = config.train.batch_size
    summary = summarize(config)
    macs = {row.name: row.macs for row in summary.rows}
    return Bench(
        device=device_name(),
        precision=precision,
        batch_size=batch,
        images_per_second=batch / step,
        inference_images_per_second=predictor.batch_size / inference,
        step_ms=step * 1e3,
        peak_gflops=peak / 1e9,
        peak_share=2 * _step_macs(config, macs, loop.model) * batch / step / peak,
        layers=tuple(_layer_time(layer, batch, macs.get(layer.name, 0)) for layer in loop.model.layers[1:]),
    )


def _step_macs(config: Config, macs: Mapping[str, int], model: keras.Model) -> int:
    """Return the multiply-accumulate operations of a training step for one example.

    Those of the forward pass, and as many for each gradient that is computed: of a layer's weights where they are
    trained, of its input where something before it is trained. No gradient reaches the images.
    """
    trained = {layer.name for layer in model.layers if layer.trainable_variables}
    receives: list[bool] = []
    total = 0
    for node in config.nodes:
        of_input = any(source != INPUT and receives[source] for source in node.inputs)
        of_weights = node.name in trained
        receives.append(of_input or of_weights)
        total += macs.get(node.name, 0) * (1 + of_input + of_weights)
    return total


def _step_seconds(config: Config, loop: StepLoop) -> float:
    """Return the seconds of a training step inside the loop that trains."""
    shape, size = config.input_shape, config.train.batch_size
    images, spec = _examples(4 * size, shape), loop.objective.target_spec
    targets = tf.zeros([4 * size, *spec.shape[1:]], spec.dtype)
    plan = np.arange(4 * size, dtype=np.int32).reshape(4, size)

    def run(steps: int) -> None:
        rows = np.resize(plan, (steps, size))
        # A rate of almost nothing keeps the weights finite on random images without skipping any work.
        rates = np.full((steps, len(loop.updates.base_rates)), 1e-12, np.float32)
        loop.run(Chunk(images, targets, rows, size), rates, 0)

    run(1)
    steps = max(1, round(SECONDS / _seconds(lambda: run(2), 2) * 2))
    return _seconds(lambda: run(steps), REPEATS) / steps


def _inference_seconds(config: Config, predictor: Predictor) -> float:
    images = _examples(predictor.batch_size, config.input_shape)
    return _seconds(lambda: predictor.logits(images), 3 * REPEATS)


def _layer_time(layer: keras.layers.Layer, batch_size: int, macs: int) -> LayerTime:
    shapes = [tuple(x.shape[1:]) for x in (layer.input if isinstance(layer.input, list) else [layer.input])]
    inputs = [tf.random.normal((batch_size, *shape)) for shape in shapes]
    given = inputs if isinstance(layer.input, list) else inputs[0]

    @tf.function
    def forward() -> tf.Tensor:
        return batch_halves.in_halves(lambda part: layer(part, training=True), given, batch_halves.number())

    @tf.function
    def both() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = forward()
        sources = [*inputs, *(variable.value for variable in layer.trainable_variables)]
        return [gradient for gradient in tape.gradient(output, sources) if gradient is not None]

    there = _seconds(forward, REPEATS)
    return LayerTime(
        layer.name, type(layer).__name__, there * 1e3, max(_seconds(both, REPEATS) - there, 0.0) * 1e3, macs
    )


def _peak_flops(precision: str) -> float:
    """Return the operations a second of a matrix product: the best of several shapes and times."""
    kind = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}.get(precision, tf.float32)
    products = GPU_PRODUCTS if tf.config.get_visible_devices("GPU") else PRODUCTS
    most = max(map(prod, products))
    return max(_product_flops(shape, kind, REPEATS * min(most // prod(shape), 8)) for shape in products)


def _product_flops(shape: tuple[int, int, int], kind: tf.DType, repeats: int) -> float:
    pairs = [
        [tf.cast(tf.random.normal(size), kind) for size in (shape[:2], shape[1:])] for _ in range(batch_halves.number())
    ]
    # One element of each is read: from a GPU, the whole product would take longer to copy than to compute.
    multiply = tf.function(lambda: [tf.matmul(left, right)[0, 0] for left, right in pairs])
    return 2 * prod(shape) * len(pairs) / min(_times(multiply, repeats))


def _examples(number: int, shape: tuple[int, int, int]) -> tf.Tensor:
    generator = np.random.default_rng(0)
    return tf.constant(generator.integers(0, 256, (number, *shape), dtype=np.uint8))


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    return median(_times(call, repeats))


def _times(call: Callable[[], Any], repeats: int) -> list[float]:
    """Return the seconds of each of several calls, after one that compiles."""
    _wait(call())
    times = []
    for _ in range(repeats):
        begun = perf_counter()
        _wait(call())
        times.append(perf_counter() - begun)
    return times


def _wait(result: Any) -> None:
    """Wait until a result is computed; on a GPU calls return before it is."""
    for tensor in tf.nest.flatten(result):
        if isinstance(tensor, tf.Tensor):
            tensor.numpy()
