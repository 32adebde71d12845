"""A run's network as something to give away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnncli.api.surroundings import Surroundings
    from cnncli.engine.exporting.export import Kept
    from cnncli.runs.run import Run
    from cnncli.serving.wanted import Wanted


def export(run: Run, wanted: Wanted, around: Surroundings) -> Iterator[Kept]:
    """Write a run's network in each format under its `export/`, and prove that each answers as the run does.

    Args:
        run: The run.
        wanted: Formats and checkpoint.
        around: What hears of it; also which formats are left out, and why.

    Yields:
        Each artifact when it is proven.

    Raises:
        ExportError: If a format cannot hold the network, its packages are missing, or it answers differently.
    """
    with around.importing():
        from cnncli.engine.exporting import export as engine
    artifacts = engine.export(run, wanted, around.tell)
    while True:
        with around.doing("writing an artifact and comparing its predictions with the run's"):
            kept = next(artifacts, None)
        if kept is None:
            return
        yield kept
