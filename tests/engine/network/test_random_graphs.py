"""A small campaign of random graphs; the large one is `tests/campaigns/random_graphs.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.engine

CAMPAIGN = Path(__file__).parents[2] / "campaigns" / "random_graphs.py"


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    """The campaign's module."""
    spec = importlib.util.spec_from_file_location("random_graphs", CAMPAIGN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["random_graphs"] = module
    spec.loader.exec_module(module)
    return module


def test_random_graphs_equal_keras(campaign: ModuleType) -> None:
    """Shapes, counts and weights of random networks, and what every fifth computes, are Keras's."""
    assert dict(campaign.verdicts(11, 0)) == dict.fromkeys(range(11), "equal")


def test_a_difference_would_be_seen(campaign: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that computes something else is told, and so is a wrong count."""
    from cnncli.layers.convolution import Convolution
    from cnncli.layers.merging import Multiply

    with monkeypatch.context() as patched:
        patched.setattr(Multiply, "type_name", classmethod(lambda _: "Maximum"))
        assert "outputs differ" in {campaign.compare(case, 0)[:14] for case in (0, 5, 10)}
    right = Convolution.arrays
    monkeypatch.setattr(Convolution, "arrays", lambda *given: right(*given)[:1])
    assert any("parameters for" in campaign.compare(case, 0) for case in range(3))
