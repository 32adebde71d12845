"""Every option of every command as one golden text: names, types, defaults and help."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cnncli.cli import app


def test_options_and_their_defaults(golden: Callable[[str, str], None]) -> None:
    """What a command does without an option is a promise to scripts: it changes only on purpose."""
    lines = []
    for name in app.ALL:
        function = app.function_of(name)
        hints = get_type_hints(function, include_extras=True)
        lines += [name, f"    {inspect.getdoc(function).splitlines()[0]}"]
        lines += [f"    {row(each, hints[each.name])}" for each in inspect.signature(function).parameters.values()]
    golden("options", "\n".join(lines))


def row(parameter: inspect.Parameter, hint: Any) -> str:
    """Return one option in a line."""
    taken, about = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    # Within Annotated, Typer takes the first name for a default.
    names = [name for name in (getattr(about, "default", ""), *(getattr(about, "param_decls", None) or ())) if name]
    shown = " ".join(map(str, names)) if names and names[0] is not ... else parameter.name
    default = "required" if parameter.default is parameter.empty else f"default {parameter.default!s}"
    limits = [f"{key} {value}" for key in ("min", "max") if (value := getattr(about, key, None)) is not None]
    kind = getattr(taken, "__name__", str(taken)) if not get_args(taken) else str(taken)
    return f"{shown}: {', '.join([kind, default, *limits])}. {getattr(about, 'help', '')}"
