"""What `cnn explore` writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ExportError
from cnncli.runs.run import Run

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


def explored(run: Run, **wanted: Any) -> Any:
    """Return a run's page and what was said of it."""
    from cnncli.engine.exploring.explore import Wanted, explore

    said: list[str] = []
    return explore(run, Wanted(**wanted), said.append), said


def document(text: str, part: str) -> Any:
    """Return one of the page's JSON documents."""
    return json.loads(text.split(f'id="{part}">')[1].split("</script>")[0])


def test_command(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says the size before the page is there, and with --json what is in it."""
    from cnncli.cli.explore import explore_cli

    target = tmp_path / "page.html"
    explore_cli(str(run.path), output=target, examples=12, as_json=True)
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    size = target.stat().st_size
    assert told == {"file": str(target), "bytes": size, "layers": 9, "examples": 12, "epochs": [0, 1, 2]}
    assert f"{size / 1e6:,.2f} MB: 9 layers, 12 examples, the weights of 3 epochs" in printed.err
    explore_cli(str(run.path), examples=0)
    assert Path(capsys.readouterr().out.strip()) == run.explore_file


@pytest.mark.needs("page-runtime")
def test_the_page_is_an_artifact(run: Run, tmp_path: Path) -> None:
    """It is opened as a page of `cnn export` is, and answers as the run."""
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting.source import Source
    from cnncli.serving.open import open_artifact

    path = tmp_path / "page.html"
    path.write_text(explored(run)[0].text, encoding="utf-8")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), dtype=np.uint8)
    expected = Source.of(run, load_trained(run)).outputs(images)["probabilities"]
    np.testing.assert_allclose(open_artifact(path).outputs(images)["probabilities"], expected, atol=1e-5)


def test_the_first_layers_alone(run: Run, tmp_path: Path) -> None:
    """Up to a layer the page holds maps, and says that it is no classifier; an unknown name is told."""
    from cnncli.serving.open import open_artifact

    page, _ = explored(run, layers=("s2",))
    assert [layer["name"] for layer in document(page.text, "network")["layers"]] == ["c1", "s2"]
    assert document(page.text, "network")["partial"] == ["s2"]
    path = tmp_path / "part.html"
    path.write_text(page.text, encoding="utf-8")
    with pytest.raises(ExportError):
        open_artifact(path)
    with pytest.raises(ExportError, match=r'no layer "c33"\. Did you mean "c3"') as raised:
        explored(run, layers=("c33",))
    assert raised.value.hint == "Layers: c1, s2, c3, s4, flatten, c5, f6, dropout, logits."


def test_what_is_too_large(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs are left out first; then the size is told, and up to which layer a page can hold the network."""
    from cnncli.engine.exploring import epochs, explore

    whole, _ = explored(run)
    monkeypatch.setattr(explore, "MOST_BYTES", whole.bytes - 10)
    page, said = explored(run)
    assert page.epochs == (0, 2)
    assert len(said) == 1
    assert said[0].startswith("2 of 3 recorded epochs are held")
    assert document(page.text, "explore")["thinned"] is True
    monkeypatch.setattr(epochs, "MOST_BYTES", 0)
    assert explored(run)[0].epochs == ()
    monkeypatch.setattr(explore, "MOST_BYTES", 250_000)
    with pytest.raises(
        ExportError, match=r"would have [\d,]+ bytes \(30 examples, 246,824 bytes of weights\)"
    ) as raised:
        explored(run)
    assert str(raised.value.hint).endswith("Hold the first layers only: --layers flatten.")
    monkeypatch.undo()


def test_examples_are_chosen() -> None:
    """One of each class, a right one where there is any; then wrong and right ones in turn; by class."""
    from cnncli.engine.exploring.examples import choose

    truths = np.array([0, 0, 1, 1, 2, 0, 1, 0])
    answers = np.array([1, 0, 1, 1, 0, 0, 2, 0])
    assert choose(truths, answers, 3).tolist() == [1, 2, 4]
    assert choose(truths, answers, 5).tolist() == [1, 0, 2, 3, 4]
    assert sorted(choose(truths, answers, 99).tolist()) == list(range(8))


def test_weights_of_every_epoch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the checkpoints' to the last bit; a network above the limit keeps none."""
    from cnncli.engine.training import replay
    from cnncli.runs.find import evaluated_weights, find_checkpoint

    assert replay.weighed_epochs(run) == [0, 1, 2]
    names = sorted(path.name for path in run.checkpoints_dir.iterdir() if path.name.startswith("step-"))
    for epoch, name in enumerate(names):
        kept, expected = replay.read_weights(run, epoch), evaluated_weights(find_checkpoint(run, name).arrays)
        assert kept.keys() == expected.keys()
        assert all(kept[key].tobytes() == expected[key].tobytes() for key in kept)
    monkeypatch.setattr(type(run), "metrics", lambda _: [{"epoch": 1}])
    assert replay.weighed_epochs(run) == [0, 1]
