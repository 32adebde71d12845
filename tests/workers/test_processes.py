"""What each worker of this machine is started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.workers.processes import gpu_of


@pytest.mark.parametrize(
    ("visible", "number", "expected"),
    [
        (None, 2, ["0", "1"]),
        (None, 4, ["0", "0", "1", "1"]),
        ("3,1", 2, ["3", "1"]),
        ("3", 2, ["3", "3"]),
        ("", 2, [None, None]),
    ],
)
def test_each_worker_sees_one_gpu(visible: str | None, number: int, expected: list[str | None], tmp_path: Path) -> None:
    """Of those of the machine, or of those that the user lets be seen; where there are none, nothing is said."""
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    found = [gpu_of(rank, number, environment, tmp_path).get("CUDA_VISIBLE_DEVICES") for rank in range(number)]
    assert found == expected
