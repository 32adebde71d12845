"""`cnn doctor`: what it finds is what the system and Python's own records say."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from cnncli.cli import console
from cnncli.cli.app import app

pytestmark = pytest.mark.engine


def doctor(*options: str) -> str:
    """Return what the command prints."""
    for made in (console.out, console.err):
        made.cache_clear()
    result = CliRunner().invoke(app, ["doctor", *options], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_findings_are_those_of_the_system() -> None:
    """Versions of the installed packages, threads, memory, extras, and a first step that took some time."""
    found = json.loads(doctor("--json"))
    for package in ("tensorflow", "keras", "numpy"):
        assert found["versions"][package] == version(package)
    assert found["threads"] == len(os.sched_getaffinity(0))
    assert found["memory_gib"] == round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    assert found["extras"] == {
        "onnx": all(find_spec(name) for name in ("tf2onnx", "onnx", "onnxruntime")),
        "litert": find_spec("ai_edge_litert") is not None,
        "tfds": find_spec("tensorflow_datasets") is not None,
    }
    assert found["first_step_seconds"] > 0
    assert (found["bfloat16"] == "fast") == ("avx512_bf16" in found["cpu_features"])


def test_findings_as_a_table() -> None:
    """A line a finding, with lists and mappings written out."""
    lines = doctor().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "versions",
        "device",
        "gpus",
        "threads",
        "memory gib",
        "cpu features",
        "bfloat16",
        "extras",
        "first step seconds",
    ]
    assert f"tensorflow {version('tensorflow')}" in lines[0]
    assert "onnx True" in lines[7]
