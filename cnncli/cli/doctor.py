"""`cnn doctor`: what this machine offers, and whether everything works together."""

from __future__ import annotations

from cnncli.cli.console import out, print_json
from cnncli.cli.options import Json


def doctor_cli(as_json: Json = False) -> None:
    """Show versions, devices and memory, and test one training step.

    Example: cnn doctor
    """
    from cnncli.engine.doctor import examine

    findings = examine()
    if as_json:
        print_json(findings)
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in findings.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        shown = ", ".join(map(str, shown)) if isinstance(shown, list) else shown
        table.add_row(name.replace("_", " "), str(shown))
    out().print(table)
