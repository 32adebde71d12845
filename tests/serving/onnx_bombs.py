"""ONNX files of a few hundred bytes: one that answers, and some that take all memory or never end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnncli.serving.description import FILE
from tests.serving.test_artifacts import ABOUT

DESCRIPTION = replace(ABOUT, any_size=False, classes=("a", "b", "c"), look={"num_images": 0})
Parts = tuple[list[Any], list[Any]]
"""Nodes from "y" to "z", and constants."""


def none() -> Parts:
    """Do no harm."""
    from onnx import helper

    return [helper.make_node("Identity", ["y"], ["z"])], []


def width(number: int = 10**9) -> Parts:
    """Spread an image's mean over so many values, and take their mean."""
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["y", "axis"], ["m"], keepdims=1),
        helper.make_node("Expand", ["m", "shape"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["bent"]),
        helper.make_node("ReduceMean", ["bent", "axis"], ["v"], keepdims=1),
        helper.make_node("Add", ["y", "v"], ["z"]),
    ]
    return nodes, [_constant("shape", [1, number]), _constant("axis", [1])]


def constant_width(number: int = 10**9) -> Parts:
    """The same of a constant, which a runtime may compute when it opens the file."""
    from onnx import helper

    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["wide"]),
        helper.make_node("ReduceMean", ["wide", "axis"], ["v"], keepdims=1),
        helper.make_node("Add", ["y", "v"], ["z"]),
    ]
    return nodes, [_constant("shape", [1, number]), _constant("axis", [1])]


def loop(number: int = 2**62) -> Parts:
    """Double the values so many times."""
    from onnx import TensorProto, helper

    scalar = [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("c", 9))]
    ends = [helper.make_tensor_value_info("c2", TensorProto.BOOL, [])]
    steps = [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["s", "s"], ["s2"])]
    inside, outside = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("s", "s2"))
    body = helper.make_graph(steps, "body", [*scalar, inside], [*ends, outside])
    trips = helper.make_tensor("trips", TensorProto.INT64, [], [number])
    goes_on = helper.make_tensor("goes_on", TensorProto.BOOL, [], [True])
    return [helper.make_node("Loop", ["trips", "goes_on", "y"], ["z"], body=body)], [trips, goes_on]


BOMBS: dict[str, Callable[..., Parts]] = {
    "none": none,
    "width": width,
    "constant width": constant_width,
    "loop": loop,
}


def save(make: Callable[..., Parts], path: Path, *arguments: int) -> Path:
    """Write a network from 4 × 6 images to three classes with something in its middle."""
    import onnx
    from onnx import TensorProto, helper

    nodes, constants = make(*arguments)
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0),
        *nodes,
        helper.make_node("Softmax", ["z"], ["probabilities"], axis=-1),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 4, 6, 3])
    answers = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "g", [images], [answers], [_constant("axes", [1, 2]), *constants])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(made, {FILE: DESCRIPTION.to_json()})
    onnx.save(made, path)
    return path


def _constant(name: str, values: list[int]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
