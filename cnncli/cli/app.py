"""The command line as a whole: which commands there are, in the order in which `cnn --help` shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: dict[str, tuple[str, ...]] = {
    "Train": ("train", "resume", "eval", "predict", "export", "ensemble", "find-lr", "bench", "sweep", "slurm"),
    "Understand a config": ("summary", "check", "explain", "diff", "data", "show"),
    "Runs": ("runs", "compare", "report", "explore", "verify", "tensorboard"),
    "Start and set-up": ("init", "help", "import", "zoo", "schema", "doctor"),
}
"""Commands by the panel they stand in; `cnncli/cli/<name>.py` holds `<name>_cli`."""

SUBCOMMANDS: dict[str, tuple[str, ...]] = {"runs": ("tag", "rename", "delete", "restore"), "sweep": ("show",)}
"""Further commands under the name of one; `cnncli/cli/<name>_<subcommand>.py` holds `<name>_<subcommand>_cli`.

Only the word directly after the command's name means one of them: `cnn runs -- tag` lists the runs named tag.
"""

PANELS = {name: panel for panel, names in COMMANDS.items() for name in names}
"""The panel of each command, in the order of `cnn --help`."""


def with_subcommands(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of commands, each with its subcommands behind it: "runs", "runs tag", …."""
    return tuple(whole for name in names for whole in (name, *(f"{name} {sub}" for sub in SUBCOMMANDS.get(name, ()))))


ALL = with_subcommands(PANELS)
"""The names of all commands."""

_WRONG_CHOICE = re.compile(r"'(?P<value>.*)' is not one of (?P<choices>.+)\.", re.DOTALL)


def module_name(command: str) -> str:
    """Return the name of a command's file: "find_lr" for find-lr, "import_" for import, "runs_tag" for runs tag."""
    name = command.replace("-", "_").replace(" ", "_")
    return f"{name}_" if iskeyword(name) else name


def function_of(name: str) -> Callable[..., None]:
    """Return the function of a command."""
    module = module_name(name)
    function: Callable[..., None] = getattr(import_module(f"cnncli.cli.{module}"), f"{module.rstrip('_')}_cli")
    return function


def _print_version(wanted: bool) -> None:
    if wanted:
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


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when they are called, so that none waits for all the others.

    Contexts and commands are `Any` here: Typer keeps their types private.
    """

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(PANELS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # For a name that is unknown, Typer looks through all commands for the nearest.
        for name in (cmd_name,) if cmd_name in ALL else PANELS:
            if name not in self.commands:
                self.add_command(_command(name), name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = " ".join(args[:2])
        if len(args) > 1 and name in ALL:
            return name, self.get_command(ctx, name), args[2:]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _reworded(error.message)
            raise


def _reworded(message: str) -> str:
    """Return what Typer says of a wrong value without pydantic's prefix; of a choice, with the nearest one."""
    message = message.removeprefix("Value error, ")
    found = _WRONG_CHOICE.match(message)
    if found is None:
        return message
    from cnncli.config.language.suggestions import suggestion

    return message + suggestion(found["value"], re.findall("'(.+?)'", found["choices"]))


def _command(name: str) -> Any:
    alone = typer.Typer(add_completion=False)
    alone.command(name, rich_help_panel=PANELS[name.split(" ")[0]])(function_of(name))
    return get_command(alone)


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(_root)
