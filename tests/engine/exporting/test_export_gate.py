"""A broken artifact does not pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ExportError, RunError
from cnncli.runs.run import Run

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx", "litert")]

NET = "[{Conv2D: {filters: 8, kernel_size: 3, activation: relu}}, Flatten, {Dense: {units: 10}}]"
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def good(make_source: Make) -> Any:
    """Return a network for colour images."""
    return make_source(NET, "data.channels=3")


@pytest.fixture(scope="module")
def proof(good: Any) -> Any:
    """Return what the whole network answers."""
    from cnncli.engine.exporting.proof import Proof

    return Proof(good, 200)


def copy_of(source: Any, change: Callable[[list[np.ndarray]], None]) -> Any:
    """Return the network with its weights changed by a function."""
    import keras

    model = keras.models.clone_model(source.trained.model)
    weights = [np.array(weight) for weight in source.trained.model.get_weights()]
    change(weights)
    model.set_weights(weights)
    return replace(source, trained=replace(source.trained, model=model))


def perturbed(source: Any, amount: float = 1e-3) -> Any:
    """Every weight is off by a thousandth."""

    def change(weights: list[np.ndarray]) -> None:
        for weight in weights:
            weight += np.random.default_rng(0).choice([-amount, amount], weight.shape)

    return copy_of(source, change)


def one_perturbed(source: Any) -> Any:
    """One single weight is off by a thousandth."""

    def change(weights: list[np.ndarray]) -> None:
        weights[0][1, 1, 0, 0] += 1e-3

    return copy_of(source, change)


def channels_swapped(source: Any) -> Any:
    """Blue is taken for red."""

    def change(weights: list[np.ndarray]) -> None:
        weights[0][:] = weights[0][:, :, ::-1]

    return copy_of(source, change)


def scale_forgotten(source: Any) -> Any:
    """The division by 255 is missing; here by multiplying the first kernel."""

    def change(weights: list[np.ndarray]) -> None:
        weights[0] *= 255

    return copy_of(source, change)


def classes_permuted(source: Any) -> Any:
    """Names stand at other places than their probabilities."""
    classes = (*source.trained.classes[1:], source.trained.classes[0])
    return replace(
        source,
        trained=replace(source.trained, classes=classes),
        description=replace(source.description, classes=classes),
    )


def outputs_permuted(source: Any) -> Any:
    """Probabilities stand at other places than their names."""

    def change(weights: list[np.ndarray]) -> None:
        weights[2][:] = np.roll(weights[2], 1, axis=1)
        weights[3][:] = np.roll(weights[3], 1)

    return copy_of(source, change)


BREAKS = (perturbed, one_perturbed, channels_swapped, scale_forgotten, classes_permuted, outputs_permuted)


def attempt(title: str, written: Any, good: Any, proof: Any, folder: Path) -> None:
    """Write one network and hold it against another."""
    from cnncli.engine.exporting.export import prove
    from cnncli.engine.exporting.formats import FORMATS

    folder.mkdir(exist_ok=True)
    kind = next(kind for kind in FORMATS if kind.title == title)
    path = folder / f"net{kind.suffix}"
    written = written.in_float32() if kind.float32 else written
    kind.write(written, replace(written.description, any_size=kind.resizes(good.config.data)), path)
    prove(kind, path, good, proof)


@pytest.mark.parametrize("title", ["keras", "saved_model", "onnx", "litert"])
def test_whole_artifact_passes(title: str, good: Any, proof: Any, tmp_path: Path) -> None:
    """What the next test breaks passes when it is not broken."""
    attempt(title, good, good, proof, tmp_path)


@pytest.mark.parametrize("title", ["keras", "saved_model", "onnx", "litert"])
@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: b.__name__)
def test_broken_artifact_is_caught(broken: Any, title: str, good: Any, proof: Any, tmp_path: Path) -> None:
    """Weights off by a thousandth, channels swapped, the scale forgotten, classes permuted: refused, each of them."""
    with pytest.raises(ExportError, match=r"predicts differently from the run|differ in classes"):
        attempt(title, broken(good), good, proof, tmp_path)


def test_small_probabilities_hide_nothing(make_source: Make, tmp_path: Path) -> None:
    """Where a thousand classes are about equally probable, every difference is small; the gate sees it all the same."""
    from cnncli.engine.exporting.proof import Proof

    wide = make_source("[{Conv2D: {filters: 8, kernel_size: 3}}, Flatten, {Dense: {units: 1000}}]", "data.channels=3")
    wide = copy_of(wide, lambda weights: [w.__imul__(0.1) for w in weights[2:]])
    attempt("saved_model", wide, wide, Proof(wide, 100), tmp_path / "whole")
    with pytest.raises(ExportError, match="of its value"):
        attempt("saved_model", perturbed(wide, 1e-4), wide, Proof(wide, 100), tmp_path / "broken")


def test_not_a_number_is_caught(good: Any, proof: Any) -> None:
    """An artifact that answers NaN differs, though no comparison with NaN says so."""
    from cnncli.engine.exporting import parity
    from cnncli.serving.artifact import Artifact

    def nothing(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"probabilities": np.full((len(images), 10), np.nan, np.float32)}

    compared = parity.compare(Artifact("onnx", good.description, nothing), proof, good.task.parity)
    with pytest.raises(ExportError):
        parity.check(compared, parity.EXACT, "onnx")


def test_wrong_shape_is_caught(good: Any, proof: Any) -> None:
    """An artifact with another number of classes is refused with both shapes; one without the task's output too."""
    from cnncli.engine.exporting import parity
    from cnncli.serving.artifact import Artifact

    def wide(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"probabilities": np.zeros((len(images), 11), np.float32)}

    with pytest.raises(ExportError, match=r"\(200, 11\).*\(200, 10\)"):
        parity.compare(Artifact("onnx", good.description, wide), proof, good.task.parity)
    unnamed = Artifact("onnx", good.description, lambda images: {"logits": wide(images)["probabilities"]})
    with pytest.raises(ExportError, match='no output "probabilities"'):
        parity.compare(unnamed, proof, good.task.parity)


def test_a_folder_elsewhere_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A link or a file in the place of a run's `export`."""
    from cnncli.engine.exporting.export import Wanted, export

    run = Run.create(tmp_path, "net", "name: net\n")
    precious = tmp_path / "precious"
    precious.mkdir()
    run.export_dir.symlink_to(precious)
    with pytest.raises(RunError, match="export is a link"):
        next(export(run, Wanted(), print))
    run.export_dir.unlink()
    run.export_dir.write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match="export is not a folder"):
        next(export(run, Wanted(), print))
    assert list(precious.iterdir()) == []


@pytest.mark.usefixtures("scripts_in_this_process")
def test_an_export_that_fails_leaves_the_former(good: Any, proof: Any, tmp_path: Path) -> None:
    """And nothing of its own; two at once do not take each other's for a dead one's."""
    from cnncli.engine.exporting import export
    from cnncli.engine.exporting.formats import choose

    run = Run.create(tmp_path, "net", "name: net\n")
    run.export_dir.mkdir()
    (kind,) = choose(("python",), None)
    first = export.write_one(run, good, kind, proof)
    before = first.path.stat().st_ino, sorted(path.name for path in run.export_dir.iterdir())

    def write_half(source: Any, description: Any, path: Path) -> None:
        path.mkdir()
        (path / "network.py").write_text("half", encoding="utf-8")
        os.utime(path.parent, (0, 0))
        run.remove_leftovers()  # as another export would
        assert path.exists()
        raise OSError(28, "No space left on device")

    with pytest.raises(ExportError, match="No space left on device"):
        export.write_one(run, good, replace(kind, write=write_half), proof)
    assert (first.path.stat().st_ino, sorted(path.name for path in run.export_dir.iterdir())) == before
    second = export.write_one(run, good, kind, proof)
    assert second.path.stat().st_ino != before[0]
    assert sorted(path.name for path in run.export_dir.iterdir()) == before[1]
