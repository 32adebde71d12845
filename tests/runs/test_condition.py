"""One condition of `cnn runs --where`: how it is read, and which values meet it."""

from __future__ import annotations

from typing import Any

import pytest

from cnncli.errors import RunError
from cnncli.files.form import MISSING
from cnncli.runs.condition import Condition


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("train.batch_size>=64", ("train.batch_size", ">=", 64)),
        (" seed = 3 ", ("seed", "=", 3)),
        ("seed==3", ("seed", "=", 3)),
        ("train.optimizer.Adam.learning_rate<1e-3", ("train.optimizer.Adam.learning_rate", "<", 1e-3)),
        ("model.layers[0].Conv2D.filters!=8", ("model.layers[0].Conv2D.filters", "!=", 8)),
        ("data.image_size=[32, 32]", ("data.image_size", "=", [32, 32])),
        ("train.ema=null", ("train.ema", "=", None)),
        ("train.replay=true", ("train.replay", "=", True)),
        ("tag=baseline", ("tag", "=", "baseline")),
        ("name=no", ("name", "=", "no")),
        ('tag="64"', ("tag", "=", "64")),
        ("name=!x", ("name", "=", "!x")),
        ("data.path~a=b", ("data.path", "~", "a=b")),
    ],
)
def test_reading(text: str, parts: tuple[str, str, Any]) -> None:
    """A value means what it would mean in a config."""
    condition = Condition.of(text)
    assert (condition.key, condition.operator, condition.value) == parts
    assert type(condition.value) is type(parts[2])


@pytest.mark.parametrize("text", ["", "seed", "seed=", "=3", "two words=3", "seed>1e999", "seed=[1"])
def test_what_cannot_be_read(text: str) -> None:
    """One error that shows what was written, and how it is done."""
    with pytest.raises(RunError, match="cannot be read") as caught:
        Condition.of(text)
    assert f'--where "{text}"' in caught.value.message
    assert "For example" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "met", "not_met"),
    [
        ("k=64", (64, 64.0, "64", ("a", "64")), (65, "640", True, None, MISSING, (), [64])),
        ("k!=64", (65, "x", None, True, (), ("a",)), (64, "64", ("a", "64"), MISSING)),
        ("k<10", (9, -1.5, "0"), (10, 100, None, MISSING, True, [1], ())),
        ("k<=10", (9, 10), (10.5, None)),
        ("k>9", (10, 100), (9, 8, None, MISSING, False)),
        ("k>=0.5", (0.5, 1), (0.49, None)),
        ("k>2026-11-20", ("2026-11-21T10:00:00", "2026-12"), ("2026-11-19", 2027, None)),
        ("k~LeN", ("lenet5", "my_LENET", ("a", "Lenet")), ("net", None, MISSING, (), ("a", "b"))),
        ("k~1", (10, "x1", [1, 2]), (2, "")),
        ("k=true", (True,), (1, False, "x", None)),
        ("k=1", (1, 1.0), (True,)),
        ("k=null", (None,), (0, "", MISSING)),
        ("k=[1, 2]", ([1, 2],), ([2, 1], 1, None)),
    ],
)
def test_meeting(text: str, met: tuple[Any, ...], not_met: tuple[Any, ...]) -> None:
    """Numbers are compared as numbers and texts as texts; what a run does not have meets nothing."""
    condition = Condition.of(text)
    assert [value for value in met if not condition.holds(value)] == []
    assert [value for value in not_met if condition.holds(value)] == []


def test_an_order_needs_something_to_compare() -> None:
    """Where no run has a number, one is told; where some have, or none has anything, the others just do not meet it."""
    condition = Condition.of("train.batch_size>=large")
    with pytest.raises(RunError, match=r'train\.batch_size cannot be compared with "large": one run has 64'):
        condition.require_order([None, 64, 32])
    condition.require_order([64, "auto"])
    condition.require_order([None, MISSING, ()])
    Condition.of("train.batch_size=large").require_order([64])
