"""Eight architectures, each trained for an epoch and exported to every format: what differs, and by how much.

    python tests/campaigns/export_architectures.py [NAME…]

The large networks see smaller images of the embedded digits; their structure is the paper's. Prints one line an
artifact, or why a format cannot hold the network; ends with 1 if one that it can hold is not exact.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

DIGITS = ["data.source=digits", "data.path=null", "data.validation=0.1", "train.epochs=1", "data.channels=3"]
RATE = "train.optimizer={Adam: {learning_rate: 1e-4}}"

ARCHITECTURES: dict[str, list[str]] = {
    "lenet5": ["data.channels=1"],
    "cifar10_small_alexnet": [],
    "alexnet": ["data.image_size=[67, 67]", RATE],
    "googlenet": ["data.image_size=[64, 64]", RATE],
    "resnet18": ["data.image_size=[64, 64]", RATE],
    "conv1d": ["data.channels=1"],
    "cifar10_full": [],
}
"""Networks of the zoo, with what is changed."""

KINDS = ("keras", "saved_model", "onnx", "litert", "litert-int8", "python", "web")
"""Formats, one of them quantized."""

EVERY_LAYER = "two axes"
"""Network of the tests with every layer of the vocabulary for images."""


def configs(wanted: list[str]) -> Iterator[Any]:
    """Yield the configs."""
    from cnncli.config.load import load, loads

    for name, changes in ARCHITECTURES.items():
        if not wanted or name in wanted:
            yield load(name, [*DIGITS, *changes])
    if not wanted or "every_layer" in wanted:
        layers = _nets()[EVERY_LAYER]
        text = f"name: every_layer\ndata: {{source: digits, image_size: [8, 8]}}\nmodel:\n  layers: {layers}\n"
        yield loads(text, overrides=["train.epochs=1"])


def _nets() -> dict[str, str]:
    path = Path(__file__).parents[1] / "engine/exporting/test_export_formats.py"
    spec = importlib.util.spec_from_file_location("formats", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    nets: dict[str, str] = module.NETS
    return nets


def campaign(folder: Path, wanted: list[str], kinds: tuple[str, ...] = KINDS) -> list[tuple[str, str]]:
    """Train and export each, print a line an artifact, and return the names and formats that are not exact."""
    from cnncli.engine.exporting.export import Wanted, export
    from cnncli.engine.training.train import train
    from cnncli.errors import CnnError
    from cnncli.report.export import title
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    failed = []
    columns = f"{'max |dp|':>10}{'|dlog p|':>10}{'agree':>9}{'bytes':>13}{'examples':>10}  seconds"
    print(f"{'architecture':22}{'format':16}{columns}")
    for config in configs(wanted):
        run = Run.open(Path(train(config, folder, Silence()).run))
        for kind in kinds:
            start = perf_counter()
            name, _, quantize = kind.partition("-")
            try:
                asked = Wanted(kinds=(name,), quantize=quantize or None, max_drop=1.0)
                (kept,) = export(run, asked, print)
            except CnnError as error:
                print(f"{config.name:22}{kind:16}{error.message}", flush=True)
                if "does not support" not in error.message:
                    failed.append((config.name, kind))
                continue
            row = kept.to_json()
            print(
                f"{config.name:22}{title(row):16}{row['max_abs_diff']:10.1e}{row['max_log_diff']:10.1e}{row['agreement']:9.2%}"
                f"{row['bytes']:13,}{row['num_examples']:10,}  {perf_counter() - start:.0f}",
                flush=True,
            )
    return failed


def main(wanted: list[str]) -> int:
    """Run the campaign; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        failed = campaign(Path(folder), wanted)
    print(f"not exact: {failed or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
