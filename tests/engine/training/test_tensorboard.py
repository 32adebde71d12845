"""What a run's TensorBoard event files show besides curves, read back as TensorBoard reads them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.runs.events import Silence
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine

CHANGED = "data.augmentation=[{RandomTranslation: {height_factor: 0.2, width_factor: 0.2}}, MixUp]"


def events_of(run: Run) -> Any:
    """Return the events of a run's training, all of them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.tensorboard_dir / "train"), size_guidance={"tensors": 0})
    events.Reload()
    return events


def steps_of(events: Any) -> dict[str, list[int]]:
    """Return the steps at which each tag stands."""
    return {tag: [event.step for event in events.Tensors(tag)] for tag in events.Tags()["tensors"]}


def picture(events: Any, tag: str) -> np.ndarray:
    """Return the only picture under a tag, (height, width, 3)."""
    (event,) = events.Tensors(tag)
    _, _, png = event.tensor_proto.string_val
    return np.asarray(Image.open(io.BytesIO(png)))


def grid(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Return tiles (number, height, width) from 0 to 1 side by side as bytes, a white pixel between them."""
    lined = np.pad(tiles, [(0, 0), (0, 1), (0, 1)], constant_values=1.0)
    rows = [np.concatenate(list(lined[i : i + columns]), axis=1) for i in range(0, len(lined), columns)]
    return np.rint(np.concatenate(rows)[:-1, :-1] * 255).astype(np.uint8)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The inputs of every step, as the network got them."""
    import tensorflow as tf

    from cnncli.engine.training.step_loop import StepLoop

    inputs: list[np.ndarray] = []
    step = StepLoop._step

    def spied(self: StepLoop, batch: Any, rates: Any) -> Any:
        tf.py_function(lambda given: inputs.append(given.numpy()), [batch.inputs], [])
        return step(self, batch, rates)

    monkeypatch.setattr(StepLoop, "_step", spied)
    return inputs


def test_images_kernels_and_graph(small_config: Callable[..., Any], tmp_path: Path, seen: list[np.ndarray]) -> None:
    """The first step's images as the network got them, the last kernels, and the network as Keras built it."""
    from cnncli.engine.network.model import build
    from cnncli.engine.training.train import train

    config = small_config("train.epochs=2", CHANGED)
    run = Run.open(Path(train(config, tmp_path / "runs", Silence()).run))
    events = events_of(run)
    shown = picture(events, "training_images")
    assert (shown == shown[..., :1]).all()
    assert np.abs(shown[..., 0].astype(int) - grid(seen[0][:16, ..., 0], 4)).max() <= 1  # a graph may round otherwise
    newest = run.checkpoints.latest()
    assert newest is not None
    (kernel,) = (array for name, array in newest.arrays.items() if name.startswith("model/") and array.ndim == 4)
    tiles = 0.5 + np.moveaxis(kernel[:, :, 0], -1, 0) / (2 * np.abs(kernel).max())
    np.testing.assert_array_equal(picture(events, "kernels/conv2d")[..., 0], grid(tiles, 8))
    found = {node.name: node for node in events.Graph().node}
    model = build(config)
    assert list(found) == ["input", *(layer.name for layer in model.layers[1:])]
    for layer, before in zip(model.layers[1:], found, strict=False):
        node = found[layer.name]
        assert (node.op, node.input, node.attr["parameters"].i) == (
            type(layer).__name__,
            [before],
            layer.count_params(),
        )
        (made,) = node.attr["_output_shapes"].list.shape
        assert [axis.size for axis in made.dim] == [-1, *layer.output.shape[1:]]


@pytest.mark.parametrize("replay", [False, True])
def test_a_resumed_run_shows_nothing_twice(small_config: Callable[..., Any], tmp_path: Path, replay: bool) -> None:
    """After two more epochs, pictures of the end stand at the end alone, and those of the beginning are the same."""
    from cnncli.engine.training.train import resume, train

    one_epoch, longer = (small_config(f"train.epochs={n}", f"train.replay={replay}", CHANGED) for n in (1, 3))
    run = Run.open(Path(train(one_epoch, tmp_path / "runs", Silence()).run))
    first = picture(events_of(run), "training_images")
    with run.lock():
        resume(run, longer, Silence())
    events = events_of(run)
    ends = steps_of(events)["loss"]
    assert len(ends) == 3
    steps = steps_of(events)
    assert steps["training_images"] == steps["model"] == [0]
    assert steps["kernels/conv2d"] == (ends if replay else ends[-1:])
    np.testing.assert_array_equal(picture(events, "training_images"), first)
    assert len(events.Graph().node) == 8


def test_pictures_of_validation_are_taken_over_once(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """A resumed run keeps those of the epochs that its metrics know, draws the others anew, and has none twice."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from cnncli.analysis.summary import summarize
    from cnncli.engine.training.tensorboard import EventLog

    summary, folder = summarize(small_config()), tmp_path / "tensorboard"
    pictures = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3)).astype(np.uint8)
    lines = [
        {"epoch": n, "step": 10 * n, "train": {"loss": 1.0}, "learning_rate": 1.0, "images_per_second": 1.0}
        for n in (1, 2, 3)
    ]

    def record(known: int, *drawn: tuple[int, np.ndarray]) -> None:
        log = EventLog(folder, summary, lines[:known])
        for epoch, drawing in drawn:
            log.write_validation_picture(10 * epoch, drawing)
            log.write(lines[epoch - 1])
        log.close()

    record(0, (1, pictures[0]), (2, pictures[1]))
    (file,) = (folder / "validation").glob("events*")
    file.write_bytes(file.read_bytes() + b"cut off")
    record(1, (2, pictures[2]), (3, pictures[3]))
    record(3)
    events = EventAccumulator(str(folder / "validation"), size_guidance={"tensors": 0})
    events.Reload()
    found = events.Tensors("first_images")
    assert [event.step for event in found] == [10, 20, 30]
    for event, expected in zip(found, pictures[[0, 2, 3]], strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(event.tensor_proto.string_val[2]))), expected)


def test_edges_of_a_graph_with_branches() -> None:
    """Every node takes from the nodes whose tensors Keras's layer takes, in that order."""
    from cnncli.analysis.summary import summarize
    from cnncli.config.load import load
    from cnncli.engine.network.model import build
    from cnncli.engine.training.tensorboard import graph_of

    config = load("resnet18", ["data.image_size=[32, 32]"])
    model = build(config)
    sources = {
        layer.name: [tensor._keras_history.operation.name for tensor in layer._inbound_nodes[0].input_tensors]
        for layer in model.layers
    }
    sources["input"] = sources.pop(model.layers[0].name)
    expected = {name: ["input" if one == model.layers[0].name else one for one in of] for name, of in sources.items()}
    assert {node.name: list(node.input) for node in graph_of(summarize(config)).node} == expected
    assert any(len(inputs) == 2 for inputs in expected.values())
