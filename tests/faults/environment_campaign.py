"""Training and resuming in other environments: the same bits, or is it said?

    python tests/faults/environment_campaign.py [--only NAME]

A run of two epochs on the embedded digits is trained in each environment, and one of one epoch that a clean environment
has trained is resumed there, each in a process of its own. Expected: all arrays are those of the clean environment, or
the run says that they may not be: run.json of a trained one holds what is otherwise, that of a resumed one
`no_longer_exact`. A process that ends with an error has said so too, but not one that ends with a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training_process import MOVES, SMALL, digests

KERAS_JSON = {"floatx": "float64", "epsilon": 0.1, "backend": "torch", "image_data_format": "channels_first"}
EPOCHS = 2


@dataclass(frozen=True)
class Environment:
    """What a process finds.

    Attributes:
        variables: Variables that are set.
        keras_json: Content of keras.json in the home folder, or None.
        processors: Most processors that it may use, or None.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    keras_json: Mapping[str, Any] | None = None
    processors: int | None = None


ENVIRONMENTS = {
    "clean": Environment(),
    "keras.json": Environment(keras_json=KERAS_JSON),
    "Keras's variables": Environment({"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1", "KERAS_NNX_ENABLED": "1"}),
    "oneDNN off": Environment({"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "oneDNN to AVX2": Environment({"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "oneDNN to SSE4.1": Environment({"DNNL_MAX_CPU_ISA": "SSE41"}),
    "oneDNN in bfloat16": Environment({"ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "TF_SET_ONEDNN_FPMATH_MODE": "BF16"}),
    "one processor": Environment(processors=1),
    "one thread": Environment({"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}),
    "XLA": Environment({"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}),
    "deterministic": Environment({"TF_DETERMINISTIC_OPS": "1"}),
    "elsewhere": Environment({"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "COLUMNS": "40"}),
}


@dataclass(frozen=True)
class Verdict:
    """What came of a process in an environment.

    Attributes:
        kind: "equal", "said", "refused"; "failed" with a traceback, or "silent": other bits and no word.
        said: What it said.
    """

    kind: str
    said: tuple[str, ...] = ()


def run_of(folder: Path) -> Path:
    """Return the one run below a folder."""
    return next(path for path in folder.glob("runs/small/[!.]*") if path.is_dir())


def command(folder: Path, environment: Environment, *arguments: str) -> str | None:
    """Run a command in a folder; return what it says on stderr where it fails, or None."""
    home = folder / "home"
    (home / ".keras").mkdir(parents=True, exist_ok=True)
    if environment.keras_json is not None:
        (home / ".keras" / "keras.json").write_text(json.dumps(environment.keras_json), encoding="utf-8")
    (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    code = "from cnncli.__main__ import main; main()"
    if environment.processors is not None:
        code = f"import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{environment.processors}]); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"HOME": str(home)} | environment.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def train(folder: Path, environment: Environment, epochs: int = EPOCHS, moves: str = MOVES) -> str | None:
    """Train a run of some epochs, with some augmentation, in a new folder."""
    folder.mkdir()
    sets = (f"train.epochs={epochs}", f"data.augmentation={moves}")
    return command(folder, environment, "train", "small.yaml", *(word for value in sets for word in ("--set", value)))


def resume(half: Path, folder: Path, environment: Environment) -> str | None:
    """Resume a copy of a run in a new folder."""
    shutil.copytree(half, folder)
    return command(folder, environment, "resume", str(run_of(folder)), "--set", f"train.epochs={EPOCHS}")


def trained(folder: Path, environment: Environment, reference: Path, moves: str = MOVES) -> Verdict:
    """Train in an environment, and compare with a clean one."""
    error = train(folder, environment, moves=moves)
    if error is not None:
        return _refusal(error)
    now, before = (_record(path) for path in (folder, reference))
    keys = ("variables", "versions", "threads", "parts", "device", "cpu_features", "arithmetic")
    return _verdict(folder, reference, [key for key in keys if now.get(key) != before.get(key)])


def resumed(half: Path, folder: Path, environment: Environment, reference: Path) -> Verdict:
    """Resume in an environment what a clean one has begun, and compare with what that makes of it."""
    error = resume(half, folder, environment)
    if error is not None:
        return _refusal(error)
    told = _record(folder).get("no_longer_exact", [])
    return _verdict(folder, reference, [line for entry in told for line in entry["because"]])


def _refusal(error: str) -> Verdict:
    known = error.startswith("error: ") or "\nerror: " in error
    return Verdict("refused" if known and "Traceback" not in error else "failed", (error.splitlines()[-1],))


def _record(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run_of(folder) / "run.json").read_text(encoding="utf-8"))
    return document


def _verdict(folder: Path, reference: Path, said: list[str]) -> Verdict:
    equal = digests(run_of(folder)) == digests(run_of(reference))
    return Verdict("equal" if equal else "said" if said else "silent", tuple(said))


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(ENVIRONMENTS))
    only = parser.parse_args().only
    chosen = ENVIRONMENTS if only is None else {only: ENVIRONMENTS[only]}
    begun, kinds = time.monotonic(), dict.fromkeys(("equal", "said", "refused", "failed", "silent"), 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, epochs in (("whole", EPOCHS), ("half", EPOCHS - 1)):
            error = train(folder / place, Environment(), epochs)
            if error is not None:
                raise SystemExit(error)
        for number, (title, environment) in enumerate(chosen.items()):
            verdicts = {
                "train": trained(folder / f"train-{number}", environment, folder / "whole"),
                "resume": resumed(folder / "half", folder / f"resume-{number}", environment, folder / "whole"),
            }
            for what, verdict in verdicts.items():
                kinds[verdict.kind] += 1
                print(f"  {title:20} {what:7} {verdict.kind:8} {'; '.join(verdict.said)}", flush=True)
    counts = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
    print(f"{len(chosen)} environments × train, resume: {counts} ({time.monotonic() - begun:.0f} s)")
    raise SystemExit(bool(kinds["failed"] + kinds["silent"]))


if __name__ == "__main__":
    main()
