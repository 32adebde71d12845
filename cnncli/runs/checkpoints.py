"""The checkpoints of a run: written so that a crash at any moment leaves one to go on from.

A checkpoint is a directory `step-<step>` with `arrays.bin`, raw little-endian values one array
after the other, and `manifest.json`, which says where each lies and proves both files whole.
It is written under a temporary name, brought to the disk, and renamed; nothing is ever
overwritten in place. Older ones go only when the new one is safe.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from cnncli.errors import CheckpointError
from cnncli.files import durable
from cnncli.runs import checkpoint
from cnncli.runs.checkpoint import Checkpoint, State
from cnncli.runs.manifest import NAME, Damage

if TYPE_CHECKING:
    from cnncli.runs.arrays import Array

log = logging.getLogger(__name__)


class CheckpointStore:
    """The folder `checkpoints/` of a run.

    One process writes (the run's lock sees to that), from any of its threads; others may read.

    Args:
        directory: The folder; made by the first save.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._saving = Lock()
        self._made = False
        self._told: set[str] = set()

    def names(self) -> list[str]:
        """Return the names of the checkpoints, oldest first."""
        self._refuse_link()
        if not self.directory.is_dir():
            return []
        return sorted((path.name for path in self.directory.iterdir() if NAME.fullmatch(path.name)), key=_order)

    def save(
        self,
        step: int,
        arrays: Mapping[str, Array],
        meta: Mapping[str, Any],
        *,
        weights: Collection[str] = (),
        best: bool = False,
        keep: int = 2,
    ) -> Path:
        """Write a checkpoint, and remove those that are no longer needed once it is safe on the disk.

        Args:
            step: Training step that it belongs to. A second save of a step stands beside the first until it is safe.
            arrays: What to keep; they must not change until `save` returns.
            meta: Plain data to keep with them.
            weights: Names of arrays that must be finite.
            best: Whether this is the best so far; the best is kept as long as no better one comes.
            keep: Number of newest checkpoints to keep besides the best, at least 2.

        Returns:
            The checkpoint's directory.

        Raises:
            CheckpointError: If a weight is not finite, or the disk refuses; earlier checkpoints are as they were.
        """
        from cnncli.runs import arrays as arrays_file

        bad = arrays_file.first_non_finite({name: arrays[name] for name in weights})
        if bad is not None:
            raise CheckpointError(f"no checkpoint of step {step} was written: {bad} is not finite")
        self._refuse_link()
        with self._saving:
            try:
                if not self._made:
                    durable.make_directories(self.directory)
                    self._made = True
                self._clean()
                name = self._free_name(step)
                named_best = name if best else self._best_name()
                self._commit(name, State(step, named_best, arrays, meta))
            except OSError as error:
                raise self._refused(step, arrays, error) from error
            # The new checkpoint is safe: hints and tidiness are no reason to fail.
            with suppress(OSError):
                self._write_hints(name, named_best)
                self._prune(keep)
        return self.directory / name

    def load(self, name: str) -> Checkpoint:
        """Load the checkpoint of that name.

        Raises:
            CheckpointError: If there is none, or it is damaged.
        """
        if name not in self.names():
            there = ", ".join(self.names()) or "none"
            raise CheckpointError(f"{self.directory} has no checkpoint {name!r}; available: {there}")
        try:
            return checkpoint.read(self.directory / name)
        except Damage as damage:
            raise CheckpointError(f"checkpoint {self.directory / name} is damaged: {damage}") from damage

    def latest(self) -> Checkpoint | None:
        """Load the newest whole checkpoint; damaged ones are set aside with a warning. None if there never was one.

        Raises:
            CheckpointError: If all are damaged.
        """
        return self._first_whole(lambda: reversed(self.names()))

    def best(self) -> Checkpoint | None:
        """Load the best whole checkpoint, as the newest one names it. None if there is none.

        Raises:
            CheckpointError: If it is damaged, and no earlier best is kept.
        """
        return self._first_whole(self._best_names)

    def best_name(self) -> str | None:
        """Return the name of the best checkpoint, as the newest one names it, without reading its arrays."""
        return next((name for name in self._best_names() if (self.directory / name).is_dir()), None)

    def _refuse_link(self) -> None:
        """Raise CheckpointError if the folder is elsewhere: there, files would be renamed and removed."""
        if self.directory.is_symlink():
            raise CheckpointError(f"{self.directory} is a link: a run has a folder of its own there")

    def _commit(self, name: str, state: State) -> None:
        """Write a checkpoint under a temporary name, bring it to the disk, and rename it."""
        temporary = self.directory / f".new-{name}"
        try:
            checkpoint.write(temporary, state)
            durable.rename(temporary, self.directory / name)
        except BaseException:
            with suppress(OSError):
                durable.remove_tree(temporary)
            raise
        durable.fsync_directory(self.directory)

    def _clean(self) -> None:
        """Remove what crashed saves left behind."""
        for path in self.directory.glob(".*-step-*"):
            durable.remove_tree(path)

    def _prune(self, keep: int) -> None:
        """Remove all but the newest `keep` checkpoints and the best that each of those names."""
        names = self.names()
        newest = names[-max(keep, 2) :]
        needed = {*newest, *(self._manifest_best(name) for name in newest)}
        removed = [name for name in names if name not in needed]
        for name in removed:
            durable.rename(self.directory / name, self.directory / f".old-{name}")
        if removed:
            # Else a crash could bring a name back without its files.
            durable.fsync_directory(self.directory)
            self._clean()

    def _write_hints(self, name: str, best: str | None) -> None:
        """Say for other programs which checkpoint is the newest and which the best; cnncli asks the manifests."""
        for hint, value in {"latest": name, "best": best}.items():
            if value is not None:
                step = _order(value)[0]
                document = {"checkpoint": f"{self.directory.name}/{value}", "step": step}
                durable.replace_file(self.directory.parent / f"{hint}.json", durable.to_json(document), wait=False)

    def _free_name(self, step: int) -> str:
        """Return a name for a checkpoint of `step` that sorts after those of the same step."""
        last = max((_order(name)[1] for name in self.names() if _order(name)[0] == step), default=0)
        return f"step-{step:08d}" if last == 0 else f"step-{step:08d}-{last + 1}"

    def _best_name(self) -> str | None:
        """Return what the newest readable checkpoint calls the best."""
        return next(self._best_names(), None)

    def _best_names(self) -> Iterator[str]:
        """Yield what the checkpoints call the best, newest opinion first."""
        for name in reversed(self.names()):
            best = self._manifest_best(name)
            if best is not None:
                yield best

    def _manifest_best(self, name: str) -> str | None:
        """Return what one checkpoint calls the best, or None where it cannot be asked."""
        try:
            return checkpoint.read_manifest(self.directory / name).best
        except Damage as damage:
            if name not in self._told:
                self._told.add(name)
                log.warning("checkpoint %s is damaged: %s; asking the one before it", self.directory / name, damage)
            return None

    def _first_whole(self, candidates: Callable[[], Iterable[str]]) -> Checkpoint | None:
        """Load the first whole one of some checkpoints, setting the damaged ones aside."""
        damaged: list[str] = []
        while True:
            listed = self.names()
            wanted = (name for name in candidates() if name not in damaged)
            first = next(wanted, None)
            name = next((name for name in chain([first], wanted) if name and (self.directory / name).is_dir()), None)
            if name != first and self.names() != listed:
                continue  # The process that trains has removed what was listed, and so has made something newer.
            if name is None:
                if self.names() == listed:
                    break
                continue
            try:
                return checkpoint.read(self.directory / name)
            except Damage as damage:
                if not (self.directory / name).is_dir():
                    continue  # Removed likewise.
                damaged.append(name)
                log.warning("%s", self._set_aside(name, damage))
        if damaged:
            raise CheckpointError(
                f"no intact checkpoint in {self.directory}: {', '.join(damaged)} damaged",
                "Start again with `cnn train`, or restore the folder from a copy.",
            )
        return None

    def _set_aside(self, name: str, damage: Damage) -> str:
        """Rename a damaged checkpoint so that it is not tried again; return what to tell."""
        warning = f"checkpoint {self.directory / name} is damaged: {damage}"
        target = next(path for path in _corrupt_names(self.directory, name) if not path.exists())
        try:
            durable.rename(self.directory / name, target)
        except OSError:
            return f"{warning}; using the one before it"
        return f"{warning}; renamed to {target.name}, using the one before it"

    def _refused(self, step: int, arrays: Mapping[str, Array], error: OSError) -> CheckpointError:
        """Return the disk's refusal as one line."""
        needed = sum(array.nbytes for array in arrays.values())
        names = self.names()
        kept = f"{names[-1]} is untouched" if names else "there is no earlier one"
        return CheckpointError(
            f"the checkpoint of step {step} ({needed / 1e6:.1f} MB) cannot be written to {self.directory}:"
            f" {error.strerror or error}; {kept}",
            "Free disk space or fix the permissions, then continue with `cnn resume`.",
        )


def _corrupt_names(directory: Path, name: str) -> Iterator[Path]:
    """Yield the names that a damaged checkpoint may get."""
    yield directory / f"corrupt-{name}"
    yield from (directory / f"corrupt-{name}.{number}" for number in count(2))


def _order(name: str) -> tuple[int, int]:
    """Return step and number of a checkpoint's name, which put names in order."""
    match = NAME.fullmatch(name)
    assert match is not None  # noqa: S101 - callers pass names that matched
    return int(match[1]), int(match[2] or 1)
