"""How many steps run at once, and when a checkpoint is due."""

from __future__ import annotations

import sys

import pytest

from cnncli.config.schema.schema import Checkpoint

pytestmark = pytest.mark.engine


def test_chunks_grow_to_half_a_second() -> None:
    """The first compiles and says nothing; then at most four times as many, until they take half a second."""
    from cnncli.engine.training.pace import Pace

    pace = Pace()
    found = [pace.batches]
    for seconds_a_batch in (5.0, 0.01, 0.01, 0.01, 0.02, 0.6, 0.001):
        pace.measured(pace.batches, seconds_a_batch * pace.batches)
        found.append(pace.batches)
    assert found == [1, 4, 16, 50, 50, 25, 1, 4]
    pace.measured(4, 0.0)
    assert pace.batches == 16


@pytest.mark.parametrize(
    ("every", "steps", "ends"),
    [
        ("epoch", [], [1, 2, 3, 4]),
        ({"epochs": 3}, [], [3]),
        ({"steps": 4}, [4, 8], [1, 2, 3, 4]),
    ],
)
def test_checkpoints_are_due(every: object, steps: list[int], ends: list[int]) -> None:
    """After so many steps, wherever they end; at the ends of so many epochs, here at steps 2 to 8."""
    from cnncli.engine.training.pace import CheckpointClock

    clock = CheckpointClock(Checkpoint.model_validate({"every": every}))
    assert [step for step in range(1, 10) if clock.is_due(step)] == steps
    # The epochs end at steps of which each is due where steps count.
    assert [epoch for epoch in range(1, 5) if clock.is_due(4 * epoch, epoch)] == ends
    expected = 4 if every == {"steps": 4} else sys.maxsize
    assert clock.steps_left(8) == expected
    assert clock.steps_left(9) == (3 if every == {"steps": 4} else sys.maxsize)


def test_minutes_count_from_the_last_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Due when so many have passed, and again so many after the next was written."""
    from cnncli.engine.training import pace

    now = 1000.0
    monkeypatch.setattr(pace, "monotonic", lambda: now)
    clock = pace.CheckpointClock(Checkpoint(every={"minutes": 2}))
    assert not clock.is_due(1, 1)
    now += 119.0
    assert not clock.is_due(2)
    now += 1.0
    assert clock.is_due(3)
    clock.saved()
    assert not clock.is_due(4)
    now += 121.0
    assert clock.is_due(5, 2)
