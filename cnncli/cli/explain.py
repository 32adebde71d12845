"""`cnn explain`: the arithmetic of a network, or an error's page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli import completion
from cnncli.cli.console import print_json, print_line, print_page
from cnncli.cli.options import Json, Markdown, RunsDir, Sets
from cnncli.cli.reference import load_reference

CODE = re.compile(r"[EW]\d{3}", re.IGNORECASE)


def explain_cli(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RUN|CODE",
            autocompletion=completion.configs_and_runs,
            help="A YAML file, a network of the zoo, a run, or an error code: E012.",
        ),
    ],
    layer: Annotated[
        str | None, typer.Argument(metavar="[LAYER]", help="Name of a layer; all layers by default.")
    ] = None,
    sets: Sets = None,
    markdown: Markdown = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    as_json: Json = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Explain a network's arithmetic, or an error code.

    Example: cnn explain lenet5 c3
    Example: cnn explain E012
    """
    if CODE.fullmatch(subject):
        _explain_code(subject, as_json, markdown)
        return
    from cnncli.analysis.explain import explain
    from cnncli.report import explanation

    explained = explain(load_reference(subject, runs_dir, list(sets or ())), layer)
    if as_json:
        print_json(explained.to_json())
    elif latex:
        print_line(explanation.explanation_latex(explained))
    elif markdown:
        print_line(explanation.explanation_markdown(explained))
    else:
        print_page(explanation.explanation_page(explained))


def _explain_code(code: str, as_json: bool, markdown: bool) -> None:
    from cnncli.cli.help import print_help
    from cnncli.config.error_pages import page

    error_page = page(code)
    if as_json:
        print_json(error_page.to_json())
    else:
        print_help(error_page.markdown, markdown)
