"""What a run tells its listeners, and what of it is kept."""

from __future__ import annotations

import threading

from cnncli.runs.events import EpochDone, told_if_slow

EPOCH = EpochDone(3, 150, 0.00123456, 12.34567, 2431.56, {"loss": 0.5, "accuracy": 0.8}, {"loss": 0.6, "accuracy": 0.7})


def test_a_line_of_the_metrics() -> None:
    """Times to a millisecond, speed to a tenth, everything else as it is."""
    assert EPOCH.to_json() == {
        "epoch": 3,
        "step": 150,
        "learning_rate": 0.00123456,
        "seconds": 12.346,
        "images_per_second": 2431.6,
        "train": {"loss": 0.5, "accuracy": 0.8},
        "validation": {"loss": 0.6, "accuracy": 0.7},
    }


def test_what_a_monitor_can_name() -> None:
    """The metrics of the training split by their names, those of the validation split with its name before."""
    assert EPOCH.named() == {"loss": 0.5, "accuracy": 0.8, "validation_loss": 0.6, "validation_accuracy": 0.7}


def test_only_what_is_slow_is_told() -> None:
    """A block that takes longer than its time is told of while it runs; a quick one is not."""
    told, heard = [], threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        heard.set()

    before = set(threading.enumerate())
    with told_if_slow(tell, "reading", after=1000):
        (waiting,) = set(threading.enumerate()) - before
    waiting.join(60)
    assert not waiting.is_alive()
    with told_if_slow(tell, "measuring", after=0):
        assert heard.wait(60)
    assert told == ["measuring …"]
