"""`cnn check`: errors and warnings about a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import out, print_json, print_line
from cnncli.cli.options import ConfigArgument, Json, Sets
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.errors import Problem

UNREAD = """\
The data were not read. `cnn check --data` also checks that every image can be read and that the outputs match the
classes."""


def check_cli(
    config: ConfigArgument,
    sets: Sets = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every value and its source.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Also read every example, as `cnn data` does.")] = False,
    as_json: Json = False,
) -> None:
    """Check a config without running it: errors and warnings, with their places.

    Example: cnn check my.yaml --data
    Example: cnn check lenet5 --resolved
    """
    from cnncli.errors import ConfigError

    try:
        loaded, problems = _checked(config, list(sets or ()), data)
    except ConfigError as error:
        loaded, problems = None, error.problems
    if as_json:
        print_json({**_document(loaded, problems, resolved), "data_read": data and loaded is not None})
    else:
        _print(config, loaded, problems, resolved)
        if loaded is not None and loaded.data.path is not None and not (data or resolved):
            print_line(UNREAD)
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)


def _checked(config: str, sets: list[str], data: bool) -> tuple[Config | None, tuple[Problem, ...]]:
    from cnncli.analysis.check import check
    from cnncli.config.load import load

    loaded = load(config, sets)
    problems = check(loaded)
    if data:
        from cnncli.cli.data import data_problems

        more = data_problems(loaded)
    else:
        from cnncli.config.location import not_found

        more = not_found(loaded)
    if more:
        problems = tuple(sorted({*problems, *more}, key=lambda p: (p.severity, p.code, p.path)))
    return loaded, problems


def _document(loaded: Config | None, problems: tuple[Problem, ...], resolved: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"problems": [problem.to_json() for problem in problems]}
    if resolved and loaded is not None:
        from cnncli.config.dump import with_defaults
        from cnncli.report.resolved import origins

        document |= {"resolved": with_defaults(loaded), "origins": origins(loaded)}
    return document


def _print(config: str, loaded: Config | None, problems: tuple[Problem, ...], resolved: bool) -> None:
    if resolved and loaded is not None:
        from cnncli.report.resolved import resolved_text

        print_line(resolved_text(loaded))
        return
    if problems:
        from cnncli.report.problems import print_problems

        print_problems(problems, out())
        print_line("")
    print_line(f"{config}: {_count(problems)}")


def _count(problems: tuple[Problem, ...]) -> str:
    numbers = {kind: sum(problem.severity == kind for problem in problems) for kind in ("error", "warning")}
    parts = [counted(number, kind) for kind, number in numbers.items() if number]
    return ", ".join(parts) or "no problems"
