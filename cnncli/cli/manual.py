"""The commands in Markdown: read from their functions, as `cnn COMMAND --help` is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from cnncli.cli.app import COMMANDS, function_of, with_subcommands
from cnncli.report.markdown import table

_VALUES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


def commands_text() -> str:
    """Return all commands with what they do, in the panels of `cnn --help`."""
    panels = {
        panel: [(f"`cnn {name}`", sentence(name)) for name in with_subcommands(names)]
        for panel, names in COMMANDS.items()
    }
    return "\n\n".join(f"### {panel}\n\n{table(('command', 'does'), rows)}" for panel, rows in panels.items())


def sentence(name: str) -> str:
    """Return what a command does, in a sentence."""
    return " ".join(_doc(function_of(name)).split("\n\n")[0].split())


def command_text(name: str) -> str:
    """Return a command's usage, what it does, its examples, and its arguments and options."""
    function = function_of(name)
    about, *examples = _doc(function).split("Example: ")
    params = _params(function)
    arguments = [(written, meaning) for is_argument, written, meaning in params if is_argument]
    options = [(written, meaning) for is_argument, written, meaning in params if not is_argument]
    usage = " ".join(["cnn", name, *(written for written, _ in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"    {usage}", about.strip(), "\n".join(f"    {example.strip()}" for example in examples)]
    for title, rows in (("argument", arguments), ("option", options)):
        parts += (
            [table((title, "what it is"), [(f"`{written}`", meaning) for written, meaning in rows])] if rows else []
        )
    return "\n\n".join(filter(None, parts))


def _doc(function: Callable[..., None]) -> str:
    return inspect.getdoc(function) or ""


def _params(function: Callable[..., None]) -> list[tuple[bool, str, str]]:
    """Return of each parameter whether it is an argument, how it is written, and what it means."""
    hints = get_type_hints(function, include_extras=True)
    found = []
    for each in inspect.signature(function).parameters.values():
        hint = hints[each.name]
        kind, info = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, None)
        is_argument = isinstance(info, ArgumentInfo)
        written = _argument(each, info) if is_argument else _option(each.name, kind, info)
        choices = f"One of {_value(kind).replace('|', ', ')}." if is_argument and "|" in _value(kind) else ""
        found.append((is_argument, written, " ".join(filter(None, (info.help, choices, _default(each.default))))))
    return found


def _argument(parameter: inspect.Parameter, info: Any) -> str:
    """Return how an argument is written, in brackets where it may be left out."""
    written = str(info.metavar or parameter.name.upper())
    required = parameter.default is inspect.Parameter.empty or written.startswith("[")
    return written if required else f"[{written}]"


def _option(name: str, kind: Any, info: Any) -> str:
    """Return how an option is written: "--set KEY=VALUE"."""
    # Within Annotated, Typer takes the first name for a default.
    given = [text for text in (info.default, *(info.param_decls or ())) if isinstance(text, str)]
    names = ", ".join(given or [f"--{name.replace('_', '-')}"])
    return " ".join(filter(None, (names, info.metavar or _value(kind))))


def _value(kind: Any) -> str:
    """Return what stands for an option's value; nothing for one that is on or off."""
    inner = [each for each in get_args(kind) if each is not type(None)]
    if inner:
        return " ".join(map(_value, inner))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(choice.value) for choice in kind)
    return _VALUES.get(kind, "")


def _default(default: Any) -> str:
    shown = default not in (None, False, inspect.Parameter.empty)
    return f"Default: {getattr(default, 'value', default)}." if shown else ""
