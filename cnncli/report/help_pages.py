"""The pages of `cnn help`: topics, and every layer, key, code and command as a topic of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cnncli.config.language.suggestions import suggestion
from cnncli.errors import CnnError
from cnncli.report.markdown import table

FILE = Path(__file__).resolve().parent.parent / "help_pages.md"
_HEADING = re.compile(r"^## ([a-z-]+) · (.+)$", re.MULTILINE)
_INDEX = re.compile(r"\[\d*\]")
_CODE = re.compile(r"[EW]\d{3}", re.IGNORECASE)


@dataclass(frozen=True)
class HelpPage:
    """What is known about one topic.

    Attributes:
        topic: What `cnn help` is asked for: "layers", "Conv2D", "E012".
        title: What it is, in a few words.
        body: Markdown.
    """

    topic: str
    title: str
    body: str

    @property
    def markdown(self) -> str:
        """The page with its heading."""
        return f"## {self.title}\n\n{self.body}"

    def to_json(self) -> dict[str, str]:
        """Return plain data."""
        return {"topic": self.topic, "title": self.title, "text": self.body}


@dataclass(frozen=True)
class Commands:
    """The commands that there are, and what there is to say of them in Markdown.

    Attributes:
        names: Their names.
        all: Returns a list of them.
        one: Returns the page of one of them.
    """

    names: tuple[str, ...]
    all: Callable[[], str]
    one: Callable[[str], str]


@lru_cache(maxsize=1)
def written() -> dict[str, HelpPage]:
    """Return what is written about each topic, in the order in which `cnn help` lists them."""
    parts = _HEADING.split(FILE.read_text(encoding="utf-8"))[1:]
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {topic: HelpPage(topic, title.strip(), body.strip()) for topic, title, body in triples}


def overview() -> HelpPage:
    """Return the list of topics."""
    rows = [(f"`{page.topic}`", page.title) for page in written().values()]
    examples = [
        ("`cnn help Conv2D`", "a layer, an optimizer, a schedule, …"),
        ("`cnn help train.optimizer`", "a key of a config"),
        ("`cnn help E012`", "a code of an error or a warning"),
        ("`cnn help train`", "a command, and the keys of that name"),
    ]
    body = f"{table(('topic', 'what'), rows)}\n\nOne of the things in them:\n\n{table(('command', 'what'), examples)}"
    return HelpPage("topics", "Topics: cnn help TOPIC", body)


def find(word: str, commands: Commands) -> tuple[HelpPage, ...]:
    """Return every page of that name: `train` is a command and a section of the config, `explore` also a topic.

    Raises:
        CnnError: If there is none.
    """
    if word in written():
        return (_topic(word, commands), *_command(word, commands))
    if _CODE.fullmatch(word):
        return (_code(word),)
    found = (*_command(word, commands), *_things(word), *_arguments(word), *_keys(word))
    if not found:
        near = suggestion(word, _names(commands))
        raise CnnError(f'There is no topic "{word}".{near}', "`cnn help` lists the topics.")
    return found


def _topic(topic: str, commands: Commands) -> HelpPage:
    """Return a topic: what is written about it, and then what the code knows."""
    page = written()[topic]
    return HelpPage(topic, page.title, "\n\n".join(filter(None, (page.body, _generated(topic, commands)))))


def _generated(topic: str, commands: Commands) -> str:
    from cnncli.config.reference import FAMILIES
    from cnncli.report.reference import family_text, keys_text

    if topic in FAMILIES or topic == "activations":
        return family_text(topic)
    if topic == "config":
        return keys_text()
    if topic == "errors":
        return _codes()
    return commands.all() if topic == "commands" else ""


def _codes() -> str:
    from cnncli.config.error_pages import pages

    return table(("code", "what"), [(f"`{page.code}`", page.title) for page in pages().values()])


def _code(code: str) -> HelpPage:
    """Return the page of a code: `cnn explain` shows the same."""
    from cnncli.config.error_pages import page

    found = page(code)
    return HelpPage(found.code, f"{found.code} · {found.title}", found.body)


def _command(word: str, commands: Commands) -> tuple[HelpPage, ...]:
    return (HelpPage(word, f"cnn {word}", commands.one(word)),) if word in commands.names else ()


def _things(word: str) -> tuple[HelpPage, ...]:
    """Return layers, optimizers and the like of that name, in any spelling that the config takes."""
    from cnncli.config.reference import FAMILIES, named
    from cnncli.layers.named import snake_case
    from cnncli.report.reference import thing_text

    return tuple(
        HelpPage(name, f"{name} ({family})", thing_text(named(name, spec)))
        for family, specs in FAMILIES.items()
        for name, spec in specs.items()
        if word in (name, snake_case(name))
    )


def _arguments(word: str) -> tuple[HelpPage, ...]:
    """Return the page of an argument by its path or the end of it: "train.optimizer.SGD.momentum", "SGD.momentum"."""
    from cnncli.config.reference import FAMILIES, named
    from cnncli.report.reference import argument_text

    path, _, argument = word.rpartition(".")
    name, pages = path.rpartition(".")[2], []
    for family, specs in FAMILIES.items():
        text = argument_text(named(name, specs[name]), argument) if name in specs else None
        if text is not None:
            pages.append(HelpPage(f"{name}.{argument}", f"{name}.{argument} ({family})", text))
    return tuple(pages)


def _keys(word: str) -> tuple[HelpPage, ...]:
    """Return the keys of that path, or else those whose path ends so."""
    from cnncli.config.reference import keys
    from cnncli.report.reference import key_text

    path, names = _INDEX.sub("[]", word), [key.name for key in keys()]
    found = [path] if path in names else [name for name in names if name.endswith(f".{path}")]
    return tuple(HelpPage(name, f"{name} (config)", key_text(name)) for name in found)


def _names(commands: Commands) -> list[str]:
    """Return everything that there is a page of."""
    from cnncli.config.error_pages import pages
    from cnncli.config.reference import FAMILIES, keys

    things = [name for specs in FAMILIES.values() for name in specs]
    paths = [key.name for key in keys()]
    ends = [path.rpartition(".")[2] for path in paths]
    return [*written(), *commands.names, *things, *paths, *ends, *pages()]
