"""`cnn init --backbone` writes two configs without a problem in them, for photos, masks and boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.analysis.check import check
from cnncli.cli.app import app
from cnncli.cli.init import BACKBONES
from cnncli.config.load import load
from cnncli.config.schema.schema import StartFrom
from cnncli.datasets.backbone_starter import write_for_backbone
from cnncli.errors import CnnError
from cnncli.importing.keras.applications import APPLICATIONS
from cnncli.importing.keras.pretrained import backbone_of


@pytest.fixture
def data(tmp_path: Path, encode, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes six photos of each of two classes, or images with masks or boxes, grey or not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def make(kind: str, is_grey: bool) -> Path:
        draws = np.random.default_rng(0)
        for number in range(12):
            size = (40, 50 + number)
            image = draws.integers(0, 256, size if is_grey else (*size, 3), np.uint8)
            folder = Path("data") / ("ab"[number % 2] if kind == "classes" else "images")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(encode(image))
            if kind == "masks":
                Path("data/masks").mkdir(exist_ok=True)
                (Path("data/masks") / f"{number}.png").write_bytes(encode(draws.integers(0, 2, size, np.uint8)))
            if "boxes" in kind:
                Path("data/labels").mkdir(exist_ok=True)
                side = 0.3 if kind == "boxes" else 0.95
                objects = f"0 0.5 0.5 {side} {side}\n1 0.5 0.5 {side / 2} {side}\n"
                (Path("data/labels") / f"{number}.txt").write_text(objects, encoding="utf-8")
                Path("data/data.yaml").write_text("train: images\nnames: [cat, dog]\n", encoding="utf-8")
        return Path("data")

    return make


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("kind", ["classes", "masks", "boxes", "large boxes"])
def test_both_steps_are_clean(kind: str, is_grey: bool, data) -> None:
    """Each network of any images begins as the one whose weights it takes, and nothing of it learns at first."""
    folder = data(kind, is_grey)
    for network in BACKBONES:
        steps = write_for_backbone(Path(f"{network}.yaml"), folder, network)
        first, second = load(steps.head), load(steps.whole)
        for config in (first, second):
            assert {problem.code for problem in check(config)} <= {"W308"}  # DenseNet sees far beyond the image
            assert backbone_of(config).application.network == network
            assert (config.data.channels, config.data.path) == (3, "data")
        assert first.train.start_from == StartFrom(weights="imagenet")
        assert second.train.start_from == StartFrom(run=network)
        assert first.train.groups[-1].layers == "*"
        assert not first.train.groups[-1].trainable
        assert first.train.optimizer.learning_rate > 10 * second.train.optimizer.learning_rate
        assert second.name == f"{network}_finetune"


def test_the_backbones_are_those_that_keras_has_weights_of() -> None:
    """`cnn init --help` lists them without reading a config."""
    assert tuple(application.network for application in APPLICATIONS) == BACKBONES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone", "mobilenet_v2"], "--backbone needs --data"),
        (["--backbone", "mobilenet_v2", "--data", "data", "--from", "lenet5"], "and goes without --from"),
        (["--backbone", "mobilenet_v3", "--data", "data"], 'no weights for "mobilenet_v3". Did you mean'),
    ],
)
def test_what_is_refused(arguments: list[str], message: str, data) -> None:
    """One error, and no file."""
    data("classes", False)
    error = CliRunner().invoke(app, ["init", "my.yaml", *arguments]).exception
    assert isinstance(error, CnnError)
    assert message in error.message
    assert sorted(path.name for path in Path().glob("*.yaml")) == []


def test_neither_file_is_overwritten(data) -> None:
    """Where the second config exists, the first is not written either."""
    folder = data("classes", False)
    Path("my_finetune.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(CnnError, match="already exists"):
        write_for_backbone(Path("my.yaml"), folder, "mobilenet_v2")
    assert not Path("my.yaml").exists()
    assert Path("my_finetune.yaml").read_text(encoding="utf-8") == "mine"
