"""A run's tags: words by which a user finds it again, kept in run.json."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cnncli.config.language.suggestions import suggestion
from cnncli.errors import RunError
from cnncli.runs.run import Run

TAG = re.compile(r"[^\s,=!<>~-][^\s,=!<>~]{0,63}")
"""Without what separates tags, or ends a key in `--where`."""


def tags_of(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the tags that run.json holds, in the order of the alphabet."""
    return tuple(sorted(record.get("tags", ())))


def add_tags(run: Run, tags: Iterable[str]) -> tuple[str, ...]:
    """Add tags to a run, which may be in training; one that it has already stays as it is.

    Returns:
        All its tags.

    Raises:
        RunError: If a tag is not a word, or run.json cannot be read.
        WriteError: If the disk refuses.
    """
    wanted = tuple(tags)
    for tag in wanted:
        if not TAG.fullmatch(tag) or not tag.isprintable():
            raise RunError(
                f"invalid tag {tag!r}",
                "A tag is a word of at most 64 characters, without commas and = ! < > ~, that does not begin with -.",
            )
    return tags_of(run.change(lambda record: {"tags": sorted({*tags_of(record), *wanted})}))


def remove_tags(run: Run, tags: Iterable[str]) -> tuple[str, ...]:
    """Remove tags from a run: all of them, or none where it lacks one.

    Returns:
        The tags that it still has.

    Raises:
        RunError: If the run lacks one of them, or run.json cannot be read.
        WriteError: If the disk refuses.
    """
    unwanted = tuple(tags)

    def without(record: dict[str, Any]) -> dict[str, list[str]]:
        there = tags_of(record)
        for tag in unwanted:
            if tag not in there:
                has = f"Its tags are {', '.join(there)}." if there else "It has no tags."
                raise RunError(f"{run.name}/{run.id} has no tag {tag!r}", f"{has}{suggestion(tag, there)}")
        return {"tags": [tag for tag in there if tag not in unwanted]}

    return tags_of(run.change(without))
