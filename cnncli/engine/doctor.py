"""What the machine offers to training, found out by trying."""

from __future__ import annotations

import os
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import keras
import tensorflow as tf

from cnncli.analysis.processor import cpu_features
from cnncli.engine.runtime import device_name
from cnncli.resources import available_threads
from cnncli.runs.environment import versions

EXTRAS = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
    "tfds": ("tensorflow_datasets",),
}


def examine() -> dict[str, Any]:
    """Return versions, devices, memory, extras, and the time of a first training step."""
    return {
        "versions": versions(),
        "device": device_name(),
        "gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")],
        "threads": available_threads(),
        "memory_gib": _memory_gib(),
        "cpu_features": cpu_features(),
        "bfloat16": "fast" if "avx512_bf16" in cpu_features() else "slower than float32 on this CPU",
        "extras": {name: all(find_spec(module) for module in modules) for name, modules in EXTRAS.items()},
        "first_step_seconds": round(_first_step(), 2),
    }


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _first_step() -> float:
    """Compile and take one training step of a tiny network; return seconds."""
    begun = perf_counter()
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True) ** 2)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)

    step(tf.ones((2, 8, 8, 1)))
    return perf_counter() - begun
