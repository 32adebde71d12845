"""Networks exported by PyTorch itself, imported, beside what PyTorch computes of the same images.

    python tests/campaigns/torch_exports.py --torch-python PATH

`torch_networks.py` says which networks and which exporters; PATH is a Python with torch, onnx and onnxscript. A file
that is refused, and a difference above 1e-5, end it with exit code 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cnncli.errors import CnnError
from cnncli.importing.read import read

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.importing.computed import outputs  # noqa: E402

sys.path.pop(0)

LIMIT = 1e-5


def difference(file: Path) -> float:
    """Import a file; return the largest difference from what PyTorch computed.

    Raises:
        CnnError: If it cannot be imported.
    """
    known = np.load(file.with_suffix(".npz"))
    found: Any = outputs(read(file), known["images"].astype(np.float32) / 255)
    expected = known["expected"]
    # PyTorch's planes come before their rows.
    expected = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
    return float(np.abs(found - expected).max())


def main() -> None:
    """Export, import, compare; print a line a file and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-python", required=True)
    python = parser.parse_args().torch_python
    with TemporaryDirectory() as temporary:
        command = [python, str(Path(__file__).with_name("torch_networks.py")), temporary]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        files = sorted(Path(temporary).glob("*.onnx"))
        refused, largest = 0, 0.0
        for file in files:
            try:
                found = difference(file)
            except CnnError as error:
                refused += 1
                print(f"{file.stem:40} refused: {error.message}")
                continue
            largest = max(largest, found)
            print(f"{file.stem:40} {found:.1e}", flush=True)
    print(f"{len(files) - refused} of {len(files)} files imported; largest difference {largest:.1e} (limit {LIMIT:g})")
    sys.exit(refused > 0 or largest > LIMIT or not files)


if __name__ == "__main__":
    main()
