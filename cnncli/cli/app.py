"""The command line as a whole: which commands there are, in the order in which `cnn --help` shows them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from keyword import iskeyword
from typing import Annotated

import typer

COMMANDS: dict[str, tuple[str, ...]] = {
    "Train": ("train", "resume", "eval", "predict", "export", "find-lr", "bench"),
    "Understand a config": ("summary", "check", "explain", "diff", "data", "show"),
    "Runs": ("runs", "compare", "report", "verify", "tensorboard"),
    "Start and set-up": ("init", "import", "zoo", "schema", "doctor"),
}
"""Commands by the panel they stand in; `cnncli/cli/<name>.py` holds `<name>_cli`."""


def module_name(command: str) -> str:
    """Return the name of a command's file: "find_lr" for find-lr, "import_" for import."""
    name = command.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


def function_of(name: str) -> Callable[..., None]:
    """Return the function of a command."""
    module = module_name(name)
    function: Callable[..., None] = getattr(import_module(f"cnncli.cli.{module}"), f"{module.rstrip('_')}_cli")
    return function


def _print_version(asked: bool) -> None:
    if asked:
        from cnncli import __version__
        from cnncli.cli.console import print_line

        print_line(f"cnn {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, explain, compare and export convolutional networks described in YAML.

    Example: cnn train digits_lenet
    """


def _make_app() -> typer.Typer:
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for panel, names in COMMANDS.items():
        for name in names:
            if find_spec(f"cnncli.cli.{module_name(name)}") is None:
                continue
            app.command(name, rich_help_panel=panel)(function_of(name))
    return app


app = _make_app()
