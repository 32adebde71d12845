"""A small campaign of random layers that train; the large one is `tests/campaigns/train_random_layers.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def campaign(script: Callable[[str], ModuleType]) -> ModuleType:
    """The campaign's module."""
    return script("campaigns/train_random_layers.py")


def test_what_is_checked_without_an_error_trains(campaign: ModuleType) -> None:
    """Random layers with windows: each is refused by the check, or trains and computes what Keras does in float64."""
    names = ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "MaxPooling2D")
    found = dict(campaign.verdicts(7, 12, names))
    assert len(found) == 7
    assert set(found.values()) <= {"trained", "trained, nothing to compare with", "E019", "E040", "E043"}
    assert list(found.values()).count("trained") >= 3


def test_a_wrong_gradient_would_be_seen(campaign: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer whose outputs are right and whose gradients are not fails, and so does one that raises."""
    import tensorflow as tf

    from cnncli.engine.fast_ops import convolution

    text = next(
        text
        for text in (campaign.make(case, 0, ("Conv2D",)) for case in range(100))
        if "strides" in text and "precision: float32" in text and campaign.judge(text) == "trained"
    )
    right = convolution._convolve

    def wrong(layer, inputs, kernel):
        return right(layer, inputs, 2 * kernel - tf.stop_gradient(kernel))

    monkeypatch.setattr(convolution, "_convolve", wrong)
    assert campaign.judge(text).startswith("FAILED gradient of ")
    monkeypatch.setattr(convolution, "_convolve", lambda *_: 1 // 0)
    assert "FAILED" in campaign.judge(text)


def test_a_crash_costs_one_network(campaign: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that a signal ends is named, and the others are judged."""
    child = tmp_path / "child.py"
    child.write_text(
        "import json, os, sys\n"
        "for case in json.loads(sys.argv[2])[1]:\n"
        "    print(json.dumps([case, None]), flush=True)\n"
        "    if case == 2:\n"
        "        os.abort()\n"
        "    print(json.dumps([case, 'trained']), flush=True)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(campaign, "__file__", str(child))
    found = dict(campaign.verdicts(5, 0, ("Conv2D",)))
    assert found == dict.fromkeys((0, 1, 3, 4), "trained") | {2: "FAILED the process ended with -6"}
