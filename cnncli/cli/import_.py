"""`cnn import`: a network described elsewhere as a config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_json, print_line, print_note
from cnncli.cli.options import Json, RunsDir


def import_cli(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .keras, .prototxt (Caffe) or .cfg (Darknet) file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The config to write; never overwritten. Default: NAME.yaml.")
    ] = None,
    image_size: Annotated[
        tuple[int, int] | None, typer.Option(help="Height and width, if the file does not give them.")
    ] = None,
    channels: Annotated[int | None, typer.Option(help="1 or 3, if the file does not give it.")] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Import a network from another tool as a config; weights of a .keras file become a run. No code in it is run.

    Example: cnn import model.keras
    Example: cnn import deploy.prototxt -o net.yaml
    """
    from cnncli.analysis.summary import summarize
    from cnncli.errors import CnnError
    from cnncli.importing.read import make_run, read

    imported = read(file, image_size, channels)
    target = output or Path(f"{imported.config.name}.yaml")
    if target.exists():
        raise CnnError(f"{target} already exists", "Choose another file with --output.")
    from cnncli.report.files import write_new

    write_new(target, imported.text)
    run = make_run(imported, runs_dir) if imported.weights else None
    for note in imported.notes:
        print_note(f"note: {note}")
    params = summarize(imported.config).total_params
    if as_json:
        document = {"config": str(target), "run": str(run.path) if run else None, "total_params": params}
        print_json({**document, "notes": list(imported.notes)})
        return
    print_line(f"{target}  {params:,} parameters")
    if run is not None:
        print_line(str(run.path))
