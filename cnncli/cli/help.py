"""`cnn help`: the manual, a page for each topic."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from cnncli.cli.console import print_json, print_line
from cnncli.cli.options import Json, Markdown


def help_cli(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC]", help="A topic, layer, key, code or command; lists the topics by default."),
    ] = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Show the manual: layers, config keys, error codes, commands, and how the figures were measured.

    Example: cnn help layers
    Example: cnn help Conv2D
    """
    from cnncli.cli.app import ALL
    from cnncli.cli.manual import command_text, commands_text
    from cnncli.report.help_pages import Commands, find, overview, written

    topic = " ".join(words or ())
    if not topic and as_json:
        print_json({"topics": [{"topic": page.topic, "title": page.title} for page in written().values()]})
        return
    commands = Commands(ALL, commands_text, command_text)
    pages = find(topic, commands) if topic else (overview(),)
    if as_json:
        print_json({"pages": [page.to_json() for page in pages]})
    else:
        print_help("\n\n".join(page.markdown for page in pages), markdown)


def print_help(text: str, markdown: bool) -> None:
    """Print a page as Markdown, or plain in the width of the terminal: of COLUMNS, or 80 columns in a pipe."""
    from cnncli.report.markdown import plain

    print_line(text if markdown else plain(text, shutil.get_terminal_size().columns))
