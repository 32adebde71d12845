"""The plain commands answer long before TensorFlow could be imported, and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs the memory use of a child process")

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ("summary", "check", "explain", "diff")
MAX_BYTES = 120 * 2**20


class Cost(NamedTuple):
    """What a process took: processor time in seconds, which other processes hardly change, and its largest memory."""

    processor: float
    memory: int


MEASURE = """
import json, os, subprocess, sys
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit]))
"""
"""Starts a process from one that is small itself: a child's peak memory begins with its parent's."""


def cost(*arguments: str, times: int = 1) -> Cost:
    """Return the least that a fresh Python process with these arguments takes."""
    found = []
    for _ in range(times):
        command_line = [sys.executable, "-c", MEASURE, *arguments]
        done = subprocess.run(command_line, capture_output=True, text=True, cwd=ROOT, check=True)
        code, *measured = json.loads(done.stdout)
        assert code == 0, done.stderr
        found.append(Cost(*measured))
    return Cost(*map(min, zip(*found, strict=True)))  # type: ignore[arg-type]


@cache
def first_cost(*arguments: str) -> Cost:
    """Return what one process with these arguments takes, for all tests that ask."""
    return cost(*arguments)


def command(name: str, config: str) -> tuple[str, ...]:
    """Return the arguments that run a command on a config; `diff` compares it with LeNet-5."""
    return ("-m", "cnncli", name, config, *(("lenet5",) if name == "diff" else ()))


def deep(folder: Path, num_blocks: int) -> str:
    """Write a config with three layers a block, each block written out, and return its path."""
    layers = [
        f"    - Conv2D: {{filters: {8 + i % 5}, kernel_size: 3, padding: same, use_bias: false}}\n"
        "    - BatchNormalization\n    - ReLU\n"
        for i in range(num_blocks)
    ]
    head = "name: deep\ndata: {source: cifar10, image_size: [32, 32], channels: 3}\nmodel:\n  layers:\n"
    path = folder / f"deep_{num_blocks}.yaml"
    path.write_text(head + "".join(layers) + "    - GlobalAveragePooling2D\n    - Dense: {units: 10}\n")
    return str(path)


@pytest.fixture(scope="module")
def import_cost() -> Cost:
    """Return what `import tensorflow` alone takes on this machine, now."""
    return cost("-c", "import tensorflow")


@pytest.fixture(scope="module")
def thousand_layers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a config with 1,001 layers."""
    return deep(tmp_path_factory.mktemp("deep"), 333)


@pytest.mark.engine
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("config", ["digits_lenet", "googlenet", "vgg16", "1,001 layers"])
def test_a_quarter_of_an_import(name: str, config: str, import_cost: Cost, thousand_layers: str) -> None:
    """Each command takes under a quarter of the processor time of `import tensorflow`, and under 120 MB."""
    arguments = command(name, thousand_layers if config == "1,001 layers" else config)
    found = first_cost(*arguments)
    if found.processor >= import_cost.processor / 4:
        found = cost(*arguments, times=4)  # processes that share a core slow each other down
    assert found.processor < import_cost.processor / 4
    assert found.memory < MAX_BYTES


@pytest.mark.parametrize("name", COMMANDS)
def test_memory_of_a_deep_network(name: str, thousand_layers: str) -> None:
    """1,001 layers take under 120 MB."""
    assert first_cost(*command(name, thousand_layers)).memory < MAX_BYTES


@pytest.mark.parametrize("name", COMMANDS)
def test_time_grows_with_the_layers(name: str, tmp_path: Path) -> None:
    """Three times the layers take little more than three times the time beyond the start."""
    commands = [command(name, deep(tmp_path, n)) for n in (1, 300, 900)]
    least = [float("inf")] * len(commands)
    for _ in range(6):  # a busy machine only adds to a process's time: the least of several is nearest to the truth
        least = [min(known, cost(*arguments).processor) for known, arguments in zip(least, commands, strict=True)]
        start, small, large = least
        if large - start < 3 * 1.6 * (small - start):
            return
    pytest.fail(f"{large - start:.3f} s for three times the layers of {small - start:.3f} s")
