"""The networks that cnncli ships: found by name, with what their files' opening comments say about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from cnncli.errors import ConfigError, Problem

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Entry:
    """One shipped config and the recipe card that it opens with.

    Attributes:
        name: What to write instead of a file: "googlenet".
        path: The file.
        title: First line of the comment.
        facts: The comment's labelled lines: paper or source, counts, expected, measured, command.
    """

    name: str
    path: Path
    title: str
    facts: dict[str, str]

    @property
    def source(self) -> str:
        """Where the network comes from."""
        return self.facts.get("paper") or self.facts.get("source", "")


@lru_cache(maxsize=1)
def directory() -> Path:
    """Return the folder of the shipped configs: `cnncli/zoo` in an installed package, `configs` in a checkout."""
    installed = _PACKAGE / "zoo"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def names() -> tuple[str, ...]:
    """Return the names of all shipped configs, in alphabetical order."""
    return tuple(sorted(path.stem for path in directory().glob("*.yaml")))


def find(name: str) -> Path | None:
    """Return the file of the shipped config called `name`, or None if there is none."""
    path = directory() / f"{name}.yaml"
    return path if name in names() else None


def is_file(path: Path) -> bool:
    """Say whether there is a file; an impossible file name means there is none."""
    return _is(Path.is_file, path)


def _is(test: Callable[[Path], bool], path: Path) -> bool:
    try:
        return test(path)
    except (OSError, ValueError):
        return False


def locate(source: str | Path) -> Path:
    """Return the file that a user means: a path, or the name of a shipped config; a file of that name wins.

    Raises:
        ConfigError: If there is neither.
    """
    path = Path(source)
    if is_file(path):
        return path
    found = find(str(source))
    if found:
        return found
    near = get_close_matches(path.stem, names(), n=1, cutoff=0.6)
    guess = f' Did you mean "{near[0]}"?' if near else ""
    problem = "is a folder, not a config" if _is(Path.is_dir, path) else "is neither a file nor a network of the zoo"
    hint = "Give the path of a YAML file, or a name from `cnn zoo`."
    raise ConfigError((Problem("E001", f"{source} {problem}.{guess}", file=str(source), hint=hint),))


def read(name: str) -> Entry:
    """Return a shipped config's recipe card.

    Args:
        name: One of `names()`.
    """
    path = directory() / f"{name}.yaml"
    title, facts = card(path.read_text(encoding="utf-8"))
    return Entry(name, path, title, facts)


def card(text: str) -> tuple[str, dict[str, str]]:
    """Return the title and the labelled lines of the comment that a config opens with."""
    title, facts, label = "", dict[str, str](), ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        body = line[1:].strip()
        head, colon, rest = body.partition(":")
        if not title:
            title = body
        elif colon and head.isalpha() and head.islower() and line.startswith("# " + head):
            label = head
            facts[label] = rest.strip()
        elif body and label:
            facts[label] += " " + body
    return title, facts
