"""The disk is full at a random byte of a save: is the earlier checkpoint whole, and the message one line?

    python tests/faults/store_full.py [--trials 100] [--seed 0]

Once as a limit that the system puts on the size of files (RLIMIT_FSIZE, in a process of its own),
once as a disk that takes so many bytes of the whole save and no more.
"""

from __future__ import annotations

import argparse
import errno
import multiprocessing
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from store_disk import intercepted

from cnncli.errors import CheckpointError
from cnncli.runs.checkpoints import CheckpointStore

SIZE = 300_000


def arrays(step: int) -> dict[str, np.ndarray]:
    """Return the arrays of a step, together `SIZE` bytes."""
    rng = np.random.default_rng(step)
    return {f"model/{i}": rng.integers(0, 255, SIZE // 3, np.uint8) for i in range(3)}


class SmallDisk:
    """Takes a number of bytes, and then no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, name: str, primitive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Do an operation as far as there is room."""
        if name != "write":
            return primitive(*arguments)
        file, data = arguments
        size = len(data)
        primitive(file, data[: self.room])
        self.room -= min(size, self.room)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return None


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Let the system refuse files that grow beyond `limit` bytes."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def trial(directory: Path, full: AbstractContextManager[object]) -> str | None:
    """Save onto a full disk, look at what is there, and save again with room; return what is wrong, or None."""
    store = CheckpointStore(directory)
    store.save(1, arrays(1), {"epoch": 1})
    try:
        with full:
            store.save(2, arrays(2), {"epoch": 2})
        return "the save did not fail"
    except CheckpointError as error:
        if "\n" in str(error) or "step 2" not in str(error):
            return f"unclear: {error}"
    if sorted(path.name for path in directory.iterdir()) != ["step-00000001"]:
        return f"left behind: {[path.name for path in directory.iterdir()]}"
    if not _is(store, 1):
        return "the earlier checkpoint is damaged"
    store.save(2, arrays(2), {"epoch": 2})
    return None if _is(store, 2) else "cannot go on once there is room"


def _is(store: CheckpointStore, step: int) -> bool:
    found = store.latest()
    return (
        found is not None
        and found.step == step
        and all(np.array_equal(found.arrays[n], a) for n, a in arrays(step).items())
    )


def campaign(num_trials: int, full: Callable[[int], AbstractContextManager[object]], seed: int = 0) -> list[str]:
    """Fill the disk at random bytes of a save's first `SIZE`; return what went wrong."""
    rng = random.Random(seed)
    wrong = []
    for number in range(num_trials):
        with tempfile.TemporaryDirectory() as folder:
            byte = rng.randrange(1, SIZE)
            trouble = trial(Path(folder) / "run" / "checkpoints", full(byte))
            if trouble:
                wrong.append(f"trial {number}, byte {byte}: {trouble}")
    return wrong


def small_disk(room: int) -> AbstractContextManager[object]:
    """Return a disk with room for so many bytes."""
    return intercepted(SmallDisk(room))


def limited(num_trials: int, seed: int = 0) -> list[str]:
    """Run a campaign under the system's limit, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(campaign, (num_trials, file_size_limit, seed))


def main() -> None:
    """Run both campaigns and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    campaigns = {"disk takes no more bytes": campaign(arguments.trials, small_disk, arguments.seed)}
    if sys.platform != "win32":
        campaigns["limit on the size of files"] = limited(arguments.trials, arguments.seed)
    for name, wrong in campaigns.items():
        print(f"{name}: {arguments.trials - len(wrong)} of {arguments.trials} refused in one line, nothing lost")
        for trouble in wrong[:20]:
            print(" ", trouble)
    raise SystemExit(any(campaigns.values()))


if __name__ == "__main__":
    main()
