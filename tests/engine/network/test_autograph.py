"""What the step loop traces, AutoGraph can convert: where it cannot, TensorFlow prints ten lines into the progress."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import pytest

pytestmark = pytest.mark.engine

TRACED = (
    "training.step_loop",
    "training.optimizer",
    "tasks.classification",
    "fast_ops.optimizers",
    "training.muon",
    "fast_ops.row_folding",
    "fast_ops.batch_halves",
    "fast_ops.batch_normalization",
    "fast_ops.convolution",
    "input_pipeline.preprocessing",
    "network.own_layers",
    "input_pipeline.augmentation.augmentation",
    "input_pipeline.augmentation.random_draws",
    "input_pipeline.augmentation.mixing",
    "input_pipeline.augmentation.geometry",
    "input_pipeline.augmentation.pixels",
    "input_pipeline.augmentation.rand_augment",
    "input_pipeline.augmentation.tones",
)
"""Modules of the engine whose functions may be part of a training step."""


def functions_of(module: ModuleType) -> Iterator[Callable[..., object]]:
    """Yield the functions of a module and the methods of its classes that are written there."""
    owners = [module, *(c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__)]
    for owner in owners:
        for found in vars(owner).values():
            if inspect.isfunction(found) and found.__module__ == module.__name__:
                yield inspect.unwrap(found)


@pytest.mark.parametrize("name", TRACED)
def test_every_function_can_be_converted(name: str) -> None:
    """AutoGraph refuses some of Python's newer syntax, such as assignments within expressions."""
    import tensorflow as tf

    functions = list(functions_of(import_module(f"cnncli.engine.{name}")))
    assert functions
    for function in functions:
        if not inspect.isgeneratorfunction(function) and function.__name__ != "<lambda>":
            tf.autograph.to_graph(function)
