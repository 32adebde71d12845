"""`cnn import`: networks and weights of other tools as configs and runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import print_json, print_line, print_note
from cnncli.cli.options import Json, RunsDir

if TYPE_CHECKING:
    from cnncli.importing.read import Imported

_FILES = (
    "A .keras, .prototxt (Caffe) or .cfg (Darknet) network; or weights: PyTorch's (.pt, .pth, .bin, .safetensors), or "
    "those of a network of Keras Applications (.h5)."
)


def import_cli(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILES)],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The .caffemodel of a .prototxt, or the .weights of a .cfg.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="The network that weights alone are for.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML, `layer: module`; default: by order and shape.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Class names, one a line; default: 0, 1, …")
    ] = None,
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
    """Import a network from another tool as a config; its weights become a run. No code in a file is run.

    Example: cnn import model.keras
    Example: cnn import deploy.prototxt --weights net.caffemodel -o net.yaml
    Example: cnn import resnet.pt --config resnet.yaml
    Example: cnn import mobilenet_v2_weights.h5 --config mobilenet_v2
    """
    from cnncli.importing.read import make_run, read, with_classes

    if config is None and names is None:
        imported = read(file, image_size, channels, weights)
    else:
        imported = _onto_config(file, config, names, (weights, output, image_size, channels))
    if classes is not None:
        imported = with_classes(imported, classes)
    target = config or _written(imported, output)
    run = make_run(imported, runs_dir) if imported.weights else None
    _print(imported, target, str(run.path) if run else None, as_json)


def _onto_config(file: Path, config: str | None, names: Path | None, others: tuple[object, ...]) -> Imported:
    """Read weights for the network of a config."""
    from cnncli.config.load import load
    from cnncli.errors import CnnError
    from cnncli.importing.read import read_onto

    if config is None:
        raise CnnError("--names needs --config", "Name the config whose layers the table names.")
    if any(other is not None for other in others):
        raise CnnError(
            "--config goes with --names, --classes and --runs-dir only",
            "Leave out --weights, --output, --image-size and --channels: the config says what they would.",
        )
    return read_onto(file, load(config), names)


def _written(imported: Imported, output: Path | None) -> str:
    """Write the config, and return where."""
    from cnncli.errors import CnnError
    from cnncli.report.files import write_new

    target = output or Path(f"{imported.config.name}.yaml")
    if target.exists():
        raise CnnError(f"{target} already exists", "Choose another file with --output.")
    write_new(target, imported.text)
    return str(target)


def _print(imported: Imported, config: str, run: str | None, as_json: bool) -> None:
    from cnncli.analysis.summary import summarize

    for note in imported.notes:
        print_note(f"note: {note}")
    params = summarize(imported.config).total_params
    if as_json:
        document: dict[str, Any] = {"config": config, "run": run, "total_params": params}
        names = {layer: list(prefixes) for layer, prefixes in imported.names.items()}
        print_json({**document, "notes": list(imported.notes), "names": names})
        return
    print_line(f"{config}  {params:,} parameters")
    if run is not None:
        print_line(run)
