"""A small campaign of planted mistakes; the large one is `tests/campaigns/mutate_code.py`."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

MODULE = '''"""Numbers."""

LIMIT = 8


def clip(value: int, least: int = 0) -> int:
    """Return a value, or 0 + 1 limits."""
    if value > LIMIT:
        value = LIMIT
    return max(least, value)
'''

TESTS = """
from cnncli.layers.clip import clip

def test_clip():
    assert [clip(n) for n in (-3, 5, 8, 9)] == [0, 5, 8, 8]
"""

CHANGES = [
    "LIMIT = 8 → LIMIT = 7",
    "LIMIT = 8 → LIMIT = 9",
    "def clip(value: int, least: int = 0) -> int: → def clip(value: int, least: int = -1) -> int:",
    "def clip(value: int, least: int = 0) -> int: → def clip(value: int, least: int = 1) -> int:",
    "if value > LIMIT: → if (not (value > LIMIT)):",
    "if value > LIMIT: → if value < LIMIT:",
    "if value > LIMIT: → if value >= LIMIT:",
    "value = LIMIT → pass",
    "return max(least, value) → return None",
    "return max(least, value) → return max(least)",
]
"""What can be done to the module: its docstrings and annotations are left alone."""

EQUIVALENT = "if value > LIMIT: → if value >= LIMIT:"
"""The mistake among these that makes no difference."""


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The campaign's module."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "campaigns")
    return importlib.import_module("mutate_code")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of one module, and its test."""
    for path, text in (("cnncli/layers/clip.py", MODULE), ("tests/layers/test_clip.py", TESTS)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for folder in ("cnncli", "cnncli/layers"):
        (tmp_path / folder / "__init__.py").touch()
    return tmp_path


def test_every_mutation_is_found(campaign: ModuleType, tree: Path) -> None:
    """Each place is mutated in each way, and nothing that is only said to people."""
    found = campaign.at(tree, "cnncli/layers/clip.py")
    assert sorted(mutation.change(MODULE.encode()) for mutation in found) == sorted(CHANGES)


def test_a_draw_depends_on_its_seed_alone(campaign: ModuleType, tree: Path) -> None:
    """The same seed draws the same mutations, another seed others."""
    draws = [campaign.sample(tree, campaign.sites(tree, []), 4, seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert [len(draw) for draw in draws] == [4, 4, 4]


def test_mistakes_are_noticed_and_equivalents_survive(campaign: ModuleType, tree: Path) -> None:
    """A test that fails kills, a change without a difference survives, tests without an end are stopped."""
    (tree / "tests/endless.py").write_text("def test_on():\n    while True:\n        pass\n", encoding="utf-8")
    wanted = [mutation for mutation in campaign.at(tree, "cnncli/layers/clip.py") if mutation.line > 7]
    with campaign.Workshop(tree, engine=False) as workshop:
        became = {mutation.change(MODULE.encode()): workshop.try_out(mutation).kind for mutation in wanted}
        assert became == {change: "survived" if change == EQUIVALENT else "killed" for change in CHANGES[4:]}
        assert (workshop.copy / "cnncli/layers/clip.py").read_text(encoding="utf-8") == MODULE
        assert workshop.run(["tests/endless.py"], None, 1)["code"] is None
