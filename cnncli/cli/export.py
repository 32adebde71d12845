"""`cnn export`: a run's network as something to give away."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cnncli.api.exporting import export
from cnncli.cli.console import out, print_json, print_page, telling
from cnncli.cli.moved import MovedData, MovedSet, moved_path
from cnncli.cli.options import Json, RunArgument, RunsDir
from cnncli.cli.terminal import TERMINAL


class Kind(StrEnum):
    """What an artifact can be."""

    keras = "keras"
    saved_model = "saved_model"
    onnx = "onnx"
    litert = "litert"
    python = "python"
    web = "web"


class Quantize(StrEnum):
    """How a LiteRT artifact is made smaller."""

    float16 = "float16"
    int8 = "int8"


def export_cli(
    run: RunArgument = "latest",
    kinds: Annotated[list[Kind] | None, typer.Option("--format", help="May be given several times.")] = None,
    quantize: Annotated[Quantize | None, typer.Option(help="Make a LiteRT artifact smaller.")] = None,
    all_kinds: Annotated[bool, typer.Option("--all", help="Every format that is available here.")] = False,
    bench: Annotated[bool, typer.Option("--bench", help="Also measure speed and memory of each artifact.")] = False,
    max_drop: Annotated[
        float | None, typer.Option(help="Allowed accuracy drop of a quantised artifact, in points (default 1).", min=0)
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last, or a checkpoint's path.")] = "best",
    data: MovedData = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Export a run's network with its preprocessing, and verify that its predictions match the run's.

    Example: cnn export latest --format onnx
    """
    from cnncli.errors import ExportError
    from cnncli.runs.find import find
    from cnncli.serving.wanted import Wanted

    if all_kinds and (kinds or quantize):
        raise ExportError("--all writes every format: use it without --format and --quantize")
    if quantize and kinds and Kind.litert not in kinds:
        raise ExportError("--quantize requires LiteRT", "Add --format litert.")
    found = find(run, runs_dir)
    names = [kind.value for kind in kinds or [Kind.litert if quantize else Kind.keras]]
    wanted = Wanted(
        kinds=() if all_kinds else names,
        quantize=quantize.value if quantize else None,
        checkpoint=checkpoint,
        max_drop=None if max_drop is None else max_drop / 100,
        data=moved_path(data, sets),
    )
    from cnncli.report.export import ACCURACY, Score, artifact_line

    rows, score = [], ACCURACY
    for kept in export(found, wanted, TERMINAL):
        rows.append(kept.to_json())
        score = Score(kept.parity.rules.score, kept.parity.rules.is_share)
        if not as_json:
            out().print(artifact_line(rows[-1], score), soft_wrap=True, markup=False)
    if bench:
        from cnncli.engine.exporting.bench import bench as measure

        with telling("measuring speed and memory"):
            rows = [{**row, **measure(Path(row["path"]))} for row in rows]
    if as_json:
        print_json({"artifacts": rows})
    elif bench:
        from cnncli.report.export import bench_page

        print_page(bench_page(rows, score))
