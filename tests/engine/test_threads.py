"""How many threads a config or a run may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from cnncli.errors import CnnError, RunError

CONFIG = """
name: n
data: {source: digits, image_size: [8, 8], channels: 1}
model: {layers: [Flatten, Dense: {units: 10}]}
train: {threads: THREADS}
"""


def test_a_machine_bears_some_threads_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight for each core, and 64 in any case; the error names both numbers."""
    from cnncli.resources import require_threads

    for cores, most in ((2, 64), (100, 800)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        require_threads(most)
        with pytest.raises(CnnError, match=f"{most + 1}; with {cores} processors at most {most} "):
            require_threads(most + 1)


@pytest.mark.engine
def test_a_config_with_more_threads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow is not even told of them."""
    from cnncli.config.load import loads
    from cnncli.engine.network import model  # noqa: F401 - the engine arranges TensorFlow's import
    from cnncli.engine.runtime import configure

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(CnnError, match=r"train\.threads is 1,000; with 2 processors"):
        configure(loads(CONFIG.replace("THREADS", "1000")))


@pytest.mark.engine
@pytest.mark.parametrize("recorded", ["y", 0, -1, 1025, 10**8, 2.0, True, [2]])
def test_a_tampered_record_is_refused(recorded: Any) -> None:
    """What run.json says of threads is checked before TensorFlow is told."""
    from cnncli.config.load import loads
    from cnncli.engine.runtime import configure

    with pytest.raises(RunError, match=r"run\.json says that it computes with"):
        configure(loads(CONFIG.replace("THREADS", "null")), recorded)
