"""The campaign over whole architectures in small; the large one is `tests/campaigns/export_architectures.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "campaigns"))
import export_architectures

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx")]


def test_one_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LeNet-5, trained for an epoch, is exact as a Keras file and in ONNX; a line tells of each."""
    assert export_architectures.campaign(tmp_path, ["lenet5"], ("keras", "onnx")) == []
    header, keras, onnx = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["architecture", "format"]
    for line, kind in ((keras, "keras"), (onnx, "onnx")):
        name, told, difference, _, agreement, *_ = line.split()
        assert (name, told, agreement) == ("lenet5", kind, "100.00%")
        assert float(difference) <= 1e-5


def test_an_inexact_artifact_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign can fail: an artifact that predicts differently from the run is among what it returns."""
    from cnncli.engine.exporting import export
    from cnncli.errors import ExportError

    def refuse(*_: object) -> object:
        raise ExportError("keras predicts differently from the run")

    monkeypatch.setattr(export, "prove", refuse)
    assert export_architectures.campaign(tmp_path, ["lenet5"], ("keras",)) == [("lenet5", "keras")]
