"""`cnn doctor --cluster`: what it says of workers and of the time that their exchange takes."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from importlib.metadata import version
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.report.exchange import exchange_lines
from cnncli.workers.launcher import Command, launch

pytestmark = pytest.mark.engine

WORKER = """
import sys
import cnncli.engine
from cnncli.engine import exchange
exchange.SIZES, exchange.REPEATS = {1: 2, 200_000: 2}, 1
from cnncli.__main__ import main
sys.exit(main())
"""
"""A worker whose exchanges are short."""


def test_times_are_those_of_one_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call takes a second by this clock."""
    from cnncli.engine import exchange
    from cnncli.engine.distribution.strategy import Route

    ticks, traced = count(), []

    def add_up(parts: Any) -> Any:
        (total,) = parts
        traced.append(total.shape.as_list())
        return total

    strategy: Any = SimpleNamespace(
        rank=0,
        num_workers=4,
        differences=("keras of worker 1 is 1, of the chief 2",),
        gather=lambda document: [document, {"rank": 1}],
        watched=nullcontext,
        add_up=add_up,
        route=lambda values: Route(6 * values, in_memory=values > 1),
    )
    monkeypatch.setattr(exchange, "SIZES", {1: 10, 1_000_000: 2})
    monkeypatch.setattr(exchange, "perf_counter", lambda: float(next(ticks)))
    found = exchange.meet(strategy, "host:1").to_json()
    assert traced == [[1], [1_000_000]]
    assert found["exchanges"] == (
        {"values": 1, "milliseconds": 100.0, "megabytes_per_second": 0.0, "in_memory": False},
        {"values": 1_000_000, "milliseconds": 500.0, "megabytes_per_second": 12.0, "in_memory": True},
    )
    assert found["differences"] == strategy.differences
    assert found["workers"][1] == {"rank": 1}
    assert next(ticks) == 2 * 2 * (1 + exchange.REPEATS)


@pytest.mark.skipif(sys.platform == "win32", reason="the launcher refuses Windows")
def test_two_workers_meet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Only the chief prints, one document: both workers, with this machine's versions, and times that passed."""
    command = (sys.executable, "-c", WORKER)
    assert launch(Command(["doctor", "--json"], 2, tmp_path, lambda path: [], print, program=command)) == 0
    found = json.loads(capfd.readouterr().out)
    assert [each["rank"] for each in found["workers"]] == [0, 1]
    assert len({each["address"] for each in found["workers"]}) == 2
    assert {each["versions"]["tensorflow"] for each in found["workers"]} == {version("tensorflow")}
    assert found["differences"] == []
    assert [(each["values"], each["in_memory"]) for each in found["exchanges"]] == [(1, True), (200_000, True)]
    assert min(each["milliseconds"] for each in found["exchanges"]) > 0


def test_findings_as_lines() -> None:
    """The workers, what differs, and a row for each size."""
    worker = {"device": "CPU X", "versions": {"keras": "3.15", "numpy": "2.0"}}
    document: dict[str, Any] = {
        "workers": [{"rank": rank, "address": f"node{rank}:2222", **worker} for rank in (0, 1)],
        "differences": [],
        "exchanges": [
            {"values": 62_000, "milliseconds": 0.5, "megabytes_per_second": 485.0, "in_memory": False},
            {"values": 1_000_000, "milliseconds": 12.345, "megabytes_per_second": 1324.0, "in_memory": True},
        ],
    }
    lines = exchange_lines(document)
    assert lines[2:4] == ["     0  node0:2222  CPU X", "     1  node1:2222  CPU X"]
    assert "Worker 0 has keras 3.15, numpy 2.0." in lines
    assert any(line.startswith("All have the same versions, device and instruction set") for line in lines)
    assert lines[-2].split() == ["62,000", "0.50", "485", "messages"]
    assert lines[-1].split() == ["1,000,000", "12.35", "1,324", "memory"]
    told = exchange_lines({**document, "differences": ["keras of worker 1 is 1, of the chief 2"]})
    place = told.index("A run with these workers would not be bit-exact: 1 difference")
    assert told[place + 1] == "  keras of worker 1 is 1, of the chief 2"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "1"], "nobody to exchange"),
        (["--cluster", "host:1", "--rank", "0"], "nobody to exchange"),
        (["--workers", "3"], "a power of two"),
    ],
)
def test_workers_that_cannot_meet(options: list[str], said: str) -> None:
    """One alone has nothing to exchange, and three do not pair off."""
    result = CliRunner().invoke(app, ["doctor", *options])
    assert result.exit_code == 1
    assert said in str(result.exception)
