"""A small campaign of random graphs; the large one is `tests/campaigns/random_graphs.py`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def campaign(script: Callable[[str], ModuleType]) -> ModuleType:
    """The campaign's module."""
    return script("campaigns/random_graphs.py")


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
