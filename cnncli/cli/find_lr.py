"""`cnn find-lr`: which learning rate to try."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import loading_tensorflow, out, print_json, print_note, telling
from cnncli.cli.options import ConfigOrRun, Json, RunsDir, Sets
from cnncli.cli.reference import load_reference
from cnncli.cli.training import show_warnings


def find_lr_cli(
    config: ConfigOrRun,
    sets: Sets = None,
    steps: Annotated[
        int,
        typer.Option(
            min=20, help="Maximum number of steps while the rate rises; each of seven trials takes half as many."
        ),
    ] = 200,
    picture: Annotated[Path | None, typer.Option("-o", "--output", help="Write the curve to this PNG file.")] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train briefly with an increasing learning rate and with a few constant ones, and suggest one.

    Example: cnn find-lr digits_lenet -o rates.png
    """
    loaded = load_reference(config, runs_dir, sets or ())
    show_warnings(loaded)
    with loading_tensorflow():
        from cnncli.engine.training.find_lr import find_rate

    with telling("reading the examples, then trying learning rates"):
        search = find_rate(loaded, num_steps=steps)
    if picture is not None:
        from cnncli.report.rate_figure import draw_search

        draw_search(search.to_json(), picture)
        print_note(str(picture))
    if as_json:
        print_json(search.to_json())
        return
    if search.suggested is None:
        out().print(f"no advice: {search.reason}\nTry more --steps, or a larger train.batch_size.", highlight=False)
        return
    kind = loaded.train.optimizer.type_name()
    steepest = "" if search.steepest is None else f"steepest at {search.steepest:.1e}, "
    out().print(
        f"loss {search.losses[0]:.3f} at {search.rates[0]:.0e}, {steepest}minimum {min(search.losses):.3f}\n"
        f"try --set train.optimizer.{kind}.learning_rate={search.suggested:.1e}",
        highlight=False,
    )
