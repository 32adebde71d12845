"""What an artifact costs: time and memory, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cnncli.errors import ExportError
from cnncli.serving.open import opens


def bench(path: Path) -> dict[str, Any]:
    """Measure an artifact in a fresh process.

    Returns:
        latency {"1": {median, p95, num_calls}, "32": …} in seconds a call, and peak_memory_bytes of the process,
        Python and the runtime included (None where the system does not tell).

    Raises:
        ExportError: If it cannot be opened.
    """
    floor = "serving" if opens(path) else "engine.exporting"
    command = [sys.executable, "-m", f"cnncli.{floor}.bench_process", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this Python
    if done.returncode != 0:
        raise ExportError(f"{path} cannot be measured: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured
