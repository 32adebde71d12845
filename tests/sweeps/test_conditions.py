"""Conditions between keys: what they mean is what Python makes of them, and nothing else of Python is understood."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnncli.errors import ConfigError
from cnncli.sweeps.conditions import MOST_TEXT, Condition
from cnncli.sweeps.spec import Sweep

DOCUMENT = {
    "name": "net",
    "train": {"batch_size": 64, "ema": None, "shuffle": True, "optimizer": {"Adam": {"beta_1": 0.9}}},
    "model": {"layers": [{"Conv2D": {"filters": 6}}, "ReLU"]},
}


@pytest.mark.parametrize(
    ("text", "holds", "excess"),
    [
        ("train.batch_size * 2 <= 512", True, 128 - 512),
        ("train.batch_size * 2 > 512", False, 512 - 128),
        ("train.batch_size < 64", False, 5e-324),
        ("not train.batch_size >= 64", False, 5e-324),
        ("train.batch_size % 48 == 0", False, 16),
        ("train.batch_size // 10 == 6", True, 0),
        ("train.batch_size / 10 != 6.4", False, 1),
        ("8 <= train.batch_size <= 32", False, 32),
        ("train.batch_size <= 32 or model.layers[0].Conv2D.filters >= 8", False, 2),
        ("train.batch_size <= 32 or -model.layers[0].Conv2D.filters < 0", True, -6),
        ("train.batch_size <= 32 and train.batch_size > 100", False, 32),
        ("train.optimizer == 'Adam'", True, -1),
        ("train.optimizer != 'Adam'", False, 1),
        ("train.ema == null and train.shuffle == true and train.shuffle", True, -1),
        ("train.shuffle == 1", False, 1),
        ("model.layers[1] == 'ReLU'", True, -1),
        ("train.optimizer == 'SGD' or train.optimizer.Adam.beta_1 > 0.95", False, 0.05),
        ("train.optimizer.SGD.momentum > 0.5", None, None),
        ("train.optimizer == 'Adam' or train.optimizer.SGD.momentum > 0.5", True, -1),
    ],
)
def test_what_conditions_mean(text: str, holds: bool | None, excess: float | None) -> None:
    """Whether they hold, and by how much; nothing where a key that decides does not exist."""
    found = Condition(text).judge(DOCUMENT)
    assert (found is None) == (holds is None)
    if found is not None:
        assert found.holds == holds
        assert found.excess == pytest.approx(excess, rel=1e-12, abs=0)


def test_conditions_hold_where_python_says_so() -> None:
    """Random ones over two keys; the excess is above zero exactly where one does not hold."""
    draw = random.Random(0)

    def number(depth: int) -> str:
        if depth == 0:
            return draw.choice(["a.x", "a.y", str(draw.randint(-3, 9)), "0.5"])
        return f"({number(depth - 1)} {draw.choice(['+', '-', '*', '//', '%', '/'])} {number(depth - 1)})"

    def truth(depth: int) -> str:
        if depth == 0:
            return f"{number(1)} {draw.choice(['<', '<=', '>', '>=', '==', '!='])} {number(2)}"
        return draw.choice(
            [f"not ({truth(depth - 1)})", f"({truth(depth - 1)}) {draw.choice(['and', 'or'])} ({truth(0)})"]
        )

    compared = 0
    for _ in range(2000):
        text, x, y = truth(draw.randint(0, 3)), draw.randint(-5, 5), draw.randint(-5, 5)
        try:
            expected = eval(text, {"a": SimpleNamespace(x=x, y=y)})
        except ZeroDivisionError:
            continue
        found = Condition(text).judge({"a": {"x": x, "y": y}})
        assert found is not None
        assert found.holds == expected, text
        assert (found.excess > 0) == (not expected), text
        compared += 1
    assert compared > 1000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.batch_size <=", "cannot be read"),
        ("train.batch_size = 3", "cannot be read"),
        ("train.batch_size + 3", "Expected a comparison"),
        ("__import__('os').system('true') == 0", "A condition consists of numbers, keys"),
        ("train.batch_size ** 99999999 > 1", 'got "Pow"'),
        ("[train.batch_size] == [1]", "A condition consists of"),
        ("(lambda: 1)() == 1", "A condition consists of"),
        ("model.layers[model] == 1", "Expected the path of a key"),
        ("(1 + 2).real == 3", "Expected the path of a key"),
        ("1 < " + "1" * MOST_TEXT, "at most 500 characters"),
        ("(" * 240 + "1" + ")" * 240 + " < 2", "too many nested parentheses"),
    ],
)
def test_what_is_no_condition(text: str, said: str) -> None:
    """Calls, powers and all else of Python are refused before anything is computed."""
    with pytest.raises(ValueError, match=re.escape(said)):
        Condition(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.batch_size / 0 > 1", "division by zero"),
        ("train.optimizer < 3", "expected two numbers; got 'Adam' and 3"),
        ("train.optimizer * 2 > 3", "expected a number for \"train.optimizer\"; got 'Adam'"),
        ("not train.batch_size", "expected true or false"),
        ("9e999 - 9e999 < 1", "cannot be computed"),
        ("1 < " + "-" * 480 + "1 and 9e999 < 1", "cannot be computed"),
    ],
)
def test_what_cannot_be_computed(text: str, said: str) -> None:
    """A message in place of a traceback."""
    with pytest.raises(ValueError, match=re.escape(said)):
        Condition(text).judge(DOCUMENT)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ("[train.batch_sise <= 16]", 'train has no "batch_sise". Did you mean "batch_size"?'),
        ("[train.batch_size <= 64, train.batch_size <]", "cannot be read: invalid syntax"),
        ("[train.batch_size <= 'x']", "expected two numbers; got 64 and 'x'"),
        ("train.batch_size <= 16", "Expected a list"),
    ],
)
def test_mistakes_are_told_at_their_place(load: Callable[..., Sweep], conditions: str, said: str) -> None:
    """In the sweep's file."""
    with pytest.raises(ConfigError) as caught:
        load(f"space: {{train.batch_size: [16, 32]}}\nsampler: grid\nconditions: {conditions}")
    problem: Any = caught.value.problems[0]
    assert said in problem.message
    assert (Path(problem.file).name, problem.line) == ("search.yaml", 6)


def test_key_of_one_choice_may_be_conditioned(load: Callable[..., Sweep]) -> None:
    """Where the choice is another one, the condition is silent."""
    section = "space:\n  train.optimizer: [SGD, Adam]\n  train.optimizer.SGD.momentum: [0.0, 0.9]\nsampler: grid\n"
    sweep = load(section + "conditions: [train.optimizer.SGD.momentum > 0.5]")
    judged = [sweep.conditions[0].judge(sweep.config(params).document) for params in sweep.space.grid()]
    assert [each if each is None else each.holds for each in judged] == [False, True, None]
