"""A run whose photos, config or folder moved: every command finds them, or says what it needs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.errors import CnnError, DataError
from cnncli.files.seal import unsealed

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

CONFIG = """
name: photos
data: {source: folder, path: photos, image_size: [12, 16], channels: 3, validation: 0.25}
model:
  layers: [{Conv2D: {filters: 4, kernel_size: 3}}, GlobalAveragePooling2D, {Dense: {units: 3}}]
train: {epochs: 1, batch_size: 8}
"""

Command = Callable[..., str]


def draw(folder: Path, seed: int = 0, number: int = 10) -> None:
    """Write photographs of three classes."""
    generator = np.random.default_rng(seed)
    for place, name in enumerate(("ash", "birch", "cedar")):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            pixels = generator.integers(0, 100, (20, 24, 3)) + 50 * place
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")


def command(*arguments: str) -> int:
    """Run a command in this process; return its exit code, and let known errors out."""
    from cnncli.cli.app import app

    try:
        app([*arguments], prog_name="cnn")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project folder with photos, a config and a run that names the photos by a relative path."""
    project = tmp_path_factory.mktemp("project")
    draw(project / "photos")
    (project / "photos.yaml").write_text(CONFIG, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert command("train", "photos.yaml") == 0
        assert command("eval", "latest", "--split", "validation") == 0
    return project


@pytest.fixture
def moved(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only copy of the run, in another folder, with the photos in yet another and nothing where it was."""
    shutil.copytree(trained / "runs/photos", tmp_path / "elsewhere/photos")
    shutil.copytree(trained / "photos", tmp_path / "album")
    (run,) = (tmp_path / "elsewhere/photos").iterdir()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    nowhere = {"directory": str(tmp_path / "gone"), "config_directory": str(tmp_path / "gone")}
    (run / "run.json").write_text(json.dumps({**record, **nowhere}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return run


@pytest.fixture
def cnn(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a command that must succeed, and returns what it prints on both streams."""
    from cnncli.cli.console import err, out

    def run(*arguments: str) -> str:
        out.cache_clear()
        err.cache_clear()
        capsys.readouterr()
        assert command(*arguments) == 0
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


def evaluation(run: Path) -> dict[str, Any]:
    """Return what the run keeps of its validation split."""
    return unsealed(json.loads((run / "evaluation-validation.json").read_text(encoding="utf-8")))


def test_found_where_the_run_was_trained(trained: Path, cnn: Command, tmp_path: Path, monkeypatch: Any) -> None:
    """From any working folder; a folder of that name in the working folder comes first."""
    (run,) = (trained / "runs/photos").iterdir()
    before = evaluation(run)
    monkeypatch.chdir(tmp_path)
    cnn("eval", str(run), "--split", "validation")
    assert evaluation(run)["loss"] == before["loss"]
    draw(tmp_path / "photos", seed=1)
    assert "not the examples that the run was trained with" in cnn("eval", str(run), "--split", "validation")
    shutil.rmtree(tmp_path / "photos")
    cnn("eval", str(run), "--split", "validation")


def test_found_beside_the_config(trained: Path, cnn: Command, tmp_path: Path, monkeypatch: Any) -> None:
    """A relative path is looked for beside the config where the working folder has nothing of that name."""
    monkeypatch.chdir(tmp_path)
    cnn("train", str(trained / "photos.yaml"), "--runs-dir", "runs")
    (run,) = (tmp_path / "runs/photos").iterdir()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["config_directory"] == str(trained)
    assert record["directory"] == str(tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    cnn("eval", str(run), "--split", "validation")


@pytest.mark.parametrize("option", [("--data", "album"), ("--set", "data.path=album")], ids=["data", "set"])
def test_moved_photos_measure_the_same(moved: Path, cnn: Command, option: tuple[str, str]) -> None:
    """Evaluation, pictures, report, export and resuming take the photos where they are told, with the same numbers."""
    before = evaluation(moved)
    (moved / "evaluation-validation.json").unlink()
    cnn("eval", str(moved), "--split", "validation", *option)
    assert evaluation(moved) == {**before, "run": str(moved)}
    (moved / "evaluation-validation.json").unlink()
    cnn("show", str(moved), "mistakes", "--split", "validation", "-o", "mistakes.png", *option)
    assert evaluation(moved) == {**before, "run": str(moved)}
    cnn("report", str(moved), *option)
    assert "No examples are shown" not in (moved / "report.html").read_text(encoding="utf-8")
    document = json.loads(cnn("export", str(moved), "--json", *option).partition("\n}")[0] + "\n}")
    assert not document["artifacts"][0]["kept_examples"]
    cnn("predict", str(moved), "album/ash/0.png", *option)
    cnn("resume", str(moved), "--set", "train.epochs=2", *option)
    cnn("eval", str(moved), "--split", "validation")


def test_verify_takes_the_photos_where_they_are(moved: Path, monkeypatch: Any) -> None:
    """Its trainings in other folders are told the whole path."""
    from cnncli.runs import verification

    class Asked(Exception):  # noqa: N818 - it stops the command
        pass

    def training(*arguments: str) -> None:
        raise Asked(arguments)

    monkeypatch.setattr(verification, "TrainingProcess", training)
    for place, given in (("album", ("--data", "album")), ("photos", ())):
        with pytest.raises(Asked) as asked:
            command("verify", str(moved), *given)
        assert f"data.path={Path(place).absolute()}" in asked.value.args[0]
        shutil.copytree("album", "photos", dirs_exist_ok=True)


def test_other_photos_are_refused(moved: Path, tmp_path: Path) -> None:
    """Where a run's own photos are expected, others are refused by their content; `eval --data` measures them."""
    draw(tmp_path / "other", seed=1)
    set_path = ("--set", "data.path=other")
    for arguments in (
        ("eval", *set_path),
        ("show", "mistakes", *set_path),
        ("export", *set_path),
        ("verify", *set_path),
    ):
        with pytest.raises(DataError, match="other does not hold the run's own examples: their content_hash is"):
            command(arguments[0], str(moved), *arguments[1:])
    with pytest.raises(DataError, match="the examples differ from those that the run started with"):
        command("resume", str(moved), "--set", "train.epochs=2", *set_path)
    assert command("eval", str(moved), "--data", "other") == 0
    foreign = json.loads((moved / "evaluation-data-other.json").read_text(encoding="utf-8"))
    assert (foreign["data"], foreign["num_examples"]) == ("other", 30)


def test_a_set_that_has_changed(moved: Path, cnn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that has grown, shrunk, or is divided otherwise says so in a line with numbers: run and artifact alike."""
    from cnncli.runs.run import Run
    from cnncli.serving import evaluate

    def changes(*arguments: str) -> list[str]:
        printed = cnn("eval", str(moved), "--split", "validation", *arguments)
        (noted,) = evaluation(moved)["doubts"] or (None,)
        assert noted is None or f"warning: {noted}" in printed.splitlines()
        artifact = SimpleNamespace(description=described, classes=["ash", "birch", "cedar"], outputs=guess)
        _, document = evaluate.evaluate_artifact(artifact, moved, "validation", None, moved.parent)  # type: ignore[arg-type]
        assert document["doubts"] == evaluation(moved)["doubts"]
        return list(document["doubts"])

    def guess(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"probabilities": np.full((len(images), 3), 1 / 3, np.float32)}

    described = SimpleNamespace(checkpoint="best", task="classification", height=8, width=8, fit="stretch")
    monkeypatch.setattr(evaluate, "_run_of", lambda *_: Run.open(moved))
    Path("album").rename("photos")
    assert changes() == []
    draw(Path("more"), seed=4, number=4)
    for file in Path("more").rglob("*.png"):
        shutil.copy(file, Path("photos") / file.parent.name / f"more-{file.name}")
    begun = "these are not the examples that the run was trained with: "
    (grown,) = changes()
    assert grown == f"{begun}train has 30 examples instead of 24, validation has 12 examples instead of 6"
    for file in Path("photos").rglob("more-*.png"):
        file.unlink()
    for name in ("ash", "birch"):
        (Path("photos") / name / "3.png").unlink()
    (shrunk,) = changes()
    assert shrunk.startswith(begun)
    run = Run.open(moved)
    document = run.passport()
    shutil.rmtree("photos")
    draw(Path("photos"))
    run.write_sealed(run.data_file, {**document, "split_hash": "0" * 64})
    assert changes() == ["the run's examples are divided into other splits than those that it was trained with"]


@pytest.mark.parametrize("option", [(), ("--set", "data.path=photos")], ids=["where they were", "told where"])
def test_photos_that_change_places(
    moved: Path, cnn: Command, option: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos of equal size and time moved to each other's class by `mv` are told by eval and refused by resume."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setattr("cnncli.datasets.stamps.MARGIN", 0)  # As if the photos were older than two seconds.
    photos = Path("album").rename("photos")
    largest = max(file.stat().st_size for file in photos.rglob("*.png"))
    for file in photos.rglob("*.png"):
        file.write_bytes(file.read_bytes().ljust(largest, b"\0"))
        os.utime(file, ns=(10**18, 10**18))
    evaluate = ("eval", str(moved), "--split", "validation", *option)
    assert "not the examples" not in cnn(*evaluate)
    before = evaluation(moved)
    for number in range(5):
        first, second = photos / f"ash/{number}.png", photos / f"cedar/{number}.png"
        first.rename("moving")
        second.rename(first)
        Path("moving").rename(second)
    if option:
        with pytest.raises(DataError, match="photos does not hold the run's own examples: their content_hash is"):
            cnn(*evaluate)
        assert evaluation(moved) == before
    else:
        assert "warning: these are not the examples that the run was trained with: their content" in cnn(*evaluate)
    metrics = (moved / "metrics.jsonl").read_bytes()
    with pytest.raises(DataError, match="the examples differ from those that the run started with"):
        command("resume", str(moved), "--set", "train.epochs=2", *option)
    assert (moved / "metrics.jsonl").read_bytes() == metrics


def test_every_command_answers_without_photos(moved: Path, cnn: Command) -> None:
    """Where the photos are gone, what does not need them works, and the rest says how to give them."""
    shutil.rmtree("album")
    Image.new("RGB", (30, 30)).save("one.png")
    cnn("predict", str(moved), "one.png")
    cnn("show", str(moved), "gradcam", "--image", "one.png", "-o", "gradcam.png")
    cnn("show", str(moved), "confusion", "--split", "validation", "-o", "confusion.png")
    cnn("show", str(moved), "kernels", "-o", "kernels.png")
    cnn("report", str(moved))
    assert "Give the path where they are now" in (moved / "report.html").read_text(encoding="utf-8")
    for arguments in (
        ("eval", "--split", "train"),
        ("show", "mistakes", "--split", "validation"),
        ("show", "activations"),
        ("resume", "--set", "train.epochs=2"),
        ("verify",),
        ("data",),
        ("find-lr",),
    ):
        with pytest.raises(CnnError, match="the run's examples are missing: photos does not exist") as error:
            command(arguments[0], str(moved), *arguments[1:])
        assert "--data PATH, or --set data.path=PATH" in str(error.value.hint)


def test_export_from_the_run_alone(moved: Path, cnn: Command) -> None:
    """The proof uses the examples that the run keeps, and says so; int8 says what it needs."""
    shutil.rmtree("album")
    with np.load(moved / "proof.npz") as kept:
        assert kept["pixels"].shape == (6, 12, 16, 3)
    text = cnn("export", str(moved), "--format", "saved_model")
    assert "checked on the 6 examples that the run keeps" in text
    assert "same predictions as the run on 6 kept examples" in text
    record = json.loads((moved / "export/photos_saved_model.parity.json").read_text(encoding="utf-8"))
    assert record["kept_examples"]
    assert (record["num_examples"], record["split"], record["agreement"]) == (6, "validation", 1.0)
    with pytest.raises(CnnError, match="calibrated with training examples, which are missing"):
        command("export", str(moved), "--format", "litert", "--quantize", "int8")
    (moved / "proof.npz").unlink()
    with pytest.raises(DataError, match="keeps no examples to prove an export"):
        command("export", str(moved))


def test_kept_examples_are_bounded(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """At most 64 images and 4 MB of pixels, evenly over the split, as the network reads them; none if not wanted."""
    from cnncli.config.load import load
    from cnncli.datasets import load as load_splits
    from cnncli.engine.evaluation import proof_examples
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.runs.run import Run

    run = Run.create(tmp_path, "bounded", "")
    for size, expected in ((8, 64), (200, 33), (1200, None)):
        overrides = [
            "data.source=digits",
            "data.path=null",
            f"data.image_size=[{size},{size}]",
            "model.layers[2].Dense.units=10",
        ]
        config = load(trained / "photos.yaml", overrides)
        run.proof_file.unlink(missing_ok=True)
        proof_examples.save(run, load_splits(config), Preprocessing(config.data))
        kept = proof_examples.load(run, config, tuple("0123456789"))
        assert (None if kept is None else len(kept)) == expected
        assert kept is None or np.asarray(kept.images).nbytes <= 4_000_000
    monkeypatch.chdir(trained)
    command("train", "photos.yaml", "--runs-dir", str(tmp_path / "runs"), "--set", "train.keep_proof=false")
    (run_path,) = (tmp_path / "runs/photos").iterdir()
    assert not (run_path / "proof.npz").exists()
