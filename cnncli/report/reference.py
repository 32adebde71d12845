"""The config language in Markdown: its keys, and the layers, optimizers and other named things with their arguments."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from cnncli.config.reference import ACTIVATIONS, FAMILIES, Argument, Named, keys, named
from cnncli.report.markdown import table

_CODE_WIDTH = 74


def family_text(family: str) -> str:
    """Return all things of a family, each with its arguments."""
    if family == "activations":
        return f"{', '.join(ACTIVATIONS)}."
    in_short = family == "layers"
    texts = []
    for name, spec in FAMILIES[family].items():
        thing = named(name, spec)
        texts.append(f"### {name}\n\n{short_text(thing) if in_short else thing_text(thing)}")
    return "\n\n".join(texts)


def short_text(thing: Named) -> str:
    """Return what a layer does, its arguments with their defaults, and its shapes."""
    shapes = [note for note in thing.notes if note.startswith(("Input", "Output"))]
    arguments = [f"Arguments: {thing.signature}."] if thing.signature else []
    return "\n\n".join(filter(None, (thing.summary, "\n".join(f"- {note}" for note in (*arguments, *shapes)))))


def thing_text(thing: Named) -> str:
    """Return all that is known about a layer, an optimizer or another named thing."""
    notes = "\n".join(f"- {note}" for note in thing.notes)
    shown = "\n\n".join(map(_code, filter(None, (thing.example, thing.in_full))))
    parts = (thing.summary, *thing.paragraphs, shown, _arguments(thing), notes)
    return "\n\n".join(filter(None, (*parts, _families((*thing.arguments, *thing.common)))))


def argument_text(thing: Named, name: str) -> str | None:
    """Return one argument of a named thing with an example; None where it has none of that name."""
    found = next((argument for argument in (*thing.arguments, *thing.common) if argument.name == name), None)
    if found is None:
        return None
    return "\n\n".join(filter(None, (found.text, _code(thing.in_full) if thing.in_full else "", _families([found]))))


def keys_text() -> str:
    """Return all keys of a config, those of each section under its name."""
    parts = []
    for section, found in groupby(keys(), key=lambda key: key.name.partition(".")[0] if "." in key.name else ""):
        part = key_table(found)
        parts.append(f"### {section}\n\n{part}" if section else part)
    return "\n\n".join(parts)


def key_text(name: str) -> str:
    """Return one key of a config, with all keys inside it or the names that it takes."""
    below = (f"{name}.", f"{name}[")
    key, *inside = (key for key in keys() if key.name == name or key.name.startswith(below))
    parts = [key.text, _code(key.example) if key.example else ""]
    if key.family in FAMILIES:
        things = (named(*thing) for thing in FAMILIES[key.family].items())
        parts.append(table(("name", "what it does"), [(f"`{thing.name}`", thing.summary) for thing in things]))
    parts += [key_table(inside)] if inside else [_families([key])]
    return "\n\n".join(filter(None, parts))


def key_table(found: Iterable[Argument]) -> str:
    """Return keys as a table, and where the named things are explained that they take."""
    rows = tuple(found)
    return "\n\n".join(filter(None, (_table(rows, "key"), _families(rows))))


def _code(text: str) -> str:
    """Return lines of a config as code, a long one on several lines: YAML allows them after a comma."""
    return "\n".join(map(_code_line, text.splitlines()))


def _code_line(line: str) -> str:
    lines = [""]
    for part in line.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if len(longer) <= _CODE_WIDTH:
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(f"  {part}")
    return "\n".join(f"    {line}" for line in lines)


def _arguments(thing: Named) -> str:
    found = (*thing.arguments, *thing.common)
    return _table(found, "argument") if found else ""


def _table(arguments: Iterable[Argument], title: str) -> str:
    return table((title, "what it is"), [(f"`{argument.name}`", argument.text) for argument in arguments])


def _families(arguments: Iterable[Argument]) -> str:
    """Return where the named things are explained that the arguments take."""
    found = dict.fromkeys(argument.family for argument in arguments if argument.family)
    return f"More: {', '.join(f'`cnn help {family}`' for family in found)}." if found else ""
