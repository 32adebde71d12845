"""Fuzzing the config language: mutated and random configs, none of which may end in anything but a Config or problems.

    python tests/campaigns/fuzz_configs.py --number 10000

For every config: no exception but ConfigError; every problem has file, line, column, key, message and a code with a
page, and can be printed; a config that loads can be checked, written and read again; none takes 2 s. The figures, the
slowest case and the peak memory are printed; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cnncli.analysis.check import check
from cnncli.config.dump import dump, dump_document, resolved
from cnncli.config.error_pages import pages
from cnncli.config.load import load, loads
from cnncli.config.starter import starter
from cnncli.config.yaml import parser as yaml
from cnncli.config.yaml.tree import plain
from cnncli.errors import ConfigError, Problem
from cnncli.report.problems import problem_text

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 2.0
"""Processor time that a config may take; after five times as much it is stopped."""

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**25, 0.5, -0.0, 1e-3, 1e300, "", "x", "no", "1e-3", "$filters",
    "${train.epochs}", "${values.w}", "same", "Conv2D", "sobel_x", [], [1], [[]], [3, 3], [[1, 2], [3, 4]], {}, {"": 1},
    {"Conv2D": {}}, {"Dense": {"units": 3}}, {"name": 3}, "a" * 300, "\u2028", "é", "😀", "../..", "--set",
)  # fmt: skip
ODD_TEXT = (
    "[", "]", "{", "}", ":", ": ", ",", "- ", "\t", "\n", "#", " #", "'", '"', "\\", "&a ", "*a", "!!int ", "! ",
    "<<: ", "|", ">", "---\n", "...", "%YAML 1.1\n", "? ", "@", "`", "${", "}", "$x", "\x00", "\x07", "\x85", "\u2028",
    "\ufeff", "\ud800", "é", "012", "1:30", ".nan", "-.inf", "9" * 400, "1e999", "0x", "null", "~", "yes", "2026-99-99",
    "!!timestamp x", "[" * 100, "  " * 50,
)  # fmt: skip
KEYS = (
    "name",
    "seed",
    "data",
    "model",
    "train",
    "layers",
    "blocks",
    "extends",
    "inputs",
    "outputs",
    "heads",
    "values",
    "filters",
    "units",
    "epochs",
    "x",
    "1",
)
LAYERS = (
    "Conv2D",
    "Dense",
    "Flatten",
    "MaxPooling2D",
    "ReLU",
    "Dropout",
    "BatchNormalization",
    "Parallel",
    "Residual",
    "Repeat",
    "Add",
    "Multiply",
    "Concatenate",
)
PATHS = (
    "train.epochs",
    "model.layers[0]",
    "model.layers[1].Conv2D.filters",
    "data.image_size[0]",
    "seed",
    "values.w",
    "a.b",
    "x[",
)


def seeds() -> list[str]:
    """Return configs to mutate: the zoo and the starter, several times, and the bad ones of the golden pairs."""
    files = [*sorted((ROOT / "configs").glob("*.yaml")), *sorted((ROOT / "tests/graphs").glob("*.yaml"))]
    good = [path.read_text(encoding="utf-8") for path in files]
    bad = [
        path.read_text("utf-8", "replace") for path in sorted((ROOT / "tests/config/language/golden").glob("*.yaml"))
    ]
    return [*good * 8, *[starter("first", "first.yaml")] * 20, *bad]


def mutate_text(text: str, rng: random.Random) -> str:
    """Insert, delete, repeat or swap pieces of a text."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        place = rng.randrange(len(text) + 1)
        end = min(place + rng.choice((1, 1, 2, 5, 20)), len(text))
        action = rng.randrange(4)
        if action == 0:
            text = text[:place] + rng.choice(ODD_TEXT) + text[place:]
        elif action == 1:
            text = text[:place] + text[end:]
        elif action == 2:
            text = text[:end] + text[place:]
        else:
            text = text[:place] + chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x2FFF)))) + text[end:]
    return text


def mutate_lines(text: str, rng: random.Random) -> str:
    """Delete, repeat, swap or indent lines."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
        action = rng.randrange(4)
        if action == 0:
            lines[one], lines[two] = lines[two], lines[one]
        elif action == 1:
            lines.insert(two, lines[one])
        elif action == 2:
            lines[one] = " " * rng.randrange(1, 5) + lines[one]
        elif len(lines) > 1:
            del lines[one]
    return "\n".join(lines)


def mutate_values(text: str, rng: random.Random) -> str:
    """Change values, keys and lengths of lists of a config, and write it again."""
    try:
        document = plain(yaml.parse(text, "seed"))
    except ConfigError:
        return mutate_text(text, rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(document, rng)
    return dump_document(document) if isinstance(document, dict) else text


def _change(document: Any, rng: random.Random) -> None:
    holders = [value for value in _inside(document) if isinstance(value, (dict, list)) and value]
    if not holders:
        return
    holder = rng.choice(holders)
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    action = rng.randrange(5)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, list):
        holder += deepcopy(holder * rng.choice((1, 2, 19)))
    elif action == 1:
        holder[rng.choice((*KEYS, *LAYERS, str(key)[:-1], str(key).upper()))] = holder.pop(key)
    elif action == 2:
        holder[key] = {rng.choice((*LAYERS, *KEYS)): holder[key]}
    else:
        holder[key] = deepcopy(rng.choice(ODD_VALUES))


def _inside(value: Any) -> Iterator[Any]:
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inside(part)


def splice(text: str, rng: random.Random) -> str:
    """Put the head of one config before the tail of another."""
    other = rng.choice(seeds_once())
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]


def random_document(_: str, rng: random.Random) -> str:
    """Write a random value as YAML, most often shaped like a config."""
    layers = [random_layer(rng, 0) for _ in range(rng.randrange(6))]
    document = {
        "name": rng.choice(("a", *ODD_VALUES)),
        "data": rng.choice(({"source": "mnist", "image_size": [rng.randrange(40), 28]}, _random(rng, 0))),
        "model": {
            "layers": layers,
            "blocks": {"b": {"parameters": ["n"], "layers": [random_layer(rng, 1), "b"][: rng.choice((1, 2))]}},
        },
        "train": rng.choice(({}, {"epochs": rng.choice(ODD_VALUES)}, _random(rng, 0))),
    }
    return dump_document(rng.choice((document, document, document, {"x": _random(rng, 0)})))


def random_layer(rng: random.Random, depth: int) -> Any:
    """Return something like a layer."""
    inner = [random_layer(rng, depth + 1) for _ in range(rng.randrange(3))] if depth < 6 else []
    return rng.choice(
        (
            "Flatten",
            "b",
            {"b": {"n": rng.choice((3, "$n", *ODD_VALUES))}},
            {"Conv2D": {"filters": rng.randrange(9), "kernel_size": rng.choice((3, [3, 1], "$n"))}},
            {"Dense": {"units": rng.randrange(-1, 20)}},
            {"Parallel": [inner, inner]},
            {"Residual": {"layers": inner}},
            {"Repeat": {"times": rng.choice((1, 2, 1000, 10**9)), "layers": inner}},
            {rng.choice(LAYERS): {rng.choice(KEYS): rng.choice(ODD_VALUES)}},
            rng.choice(ODD_VALUES),
        )
    )


def _random(rng: random.Random, depth: int) -> Any:
    if depth > 4 or rng.random() < 0.5:
        return rng.choice(ODD_VALUES)
    if rng.random() < 0.5:
        return [_random(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): _random(rng, depth + 1) for _ in range(rng.randrange(4))}


def random_bytes(_: str, rng: random.Random) -> str:
    """Return random characters, of YAML or of anything."""
    if rng.random() < 0.5:
        return "".join(rng.choice(ODD_TEXT) for _ in range(rng.randrange(60)))
    return rng.randbytes(rng.randrange(400)).decode("latin-1")


def much(_: str, rng: random.Random) -> str:
    """Return a text that is long, deep, or means a great deal more than it says."""
    number = rng.choice((70, 3_000, 30_000))
    return rng.choice(
        (
            "[" * number,
            "{a: " * number,
            "- " * number,
            "a: " + "x" * number,
            "a: '" + "x\n" * number,
            "#" * number,
            "".join(f"k{i}: {i}\n" for i in range(number)),
            "a: &a [1, 1]\n" + "".join(f"a{i}: &a [*a, *a, *a]\n" for i in range(min(number, 40))),
            "values:\n  v0: [1, 1]\n"
            + "".join(f"  v{i + 1}: ['${{values.v{i}}}', '${{values.v{i}}}']\n" for i in range(min(number, 40))),
            "values:\n  v0: x\n"
            + "".join(f"  v{i + 1}: '${{values.v{i}}}${{values.v{i}}}'\n" for i in range(min(number, 40))),
            _blocks(min(number, 60)),
            "name: a\ndata: {source: mnist, image_size: [9, 9]}\nmodel:\n  layers:\n" + "    - ReLU\n" * number,
        )
    )


def _blocks(number: int) -> str:
    uses = (f"{{parameters: [n], layers: [b{i + 1}: {{n: [$n, $n]}}, b{i + 1}: {{n: $n}}]}}" for i in range(number))
    lines = "".join(f"    b{i}: {use}\n" for i, use in enumerate(uses))
    last = f"    b{number}: {{parameters: [n], layers: [ReLU]}}\n  layers: [b0: {{n: 1}}]\n"
    return f"name: a\ndata: {{source: mnist, image_size: [9, 9]}}\nmodel:\n  blocks:\n{lines}{last}"


KINDS: dict[str, tuple[int, Callable[[str, random.Random], str]]] = {
    "text": (25, mutate_text),
    "lines": (15, mutate_lines),
    "values": (35, mutate_values),
    "splice": (5, splice),
    "document": (12, random_document),
    "characters": (5, random_bytes),
    "much": (3, much),
}
"""Ways of making a config, with how often each is taken."""

_SEEDS: list[str] = []


def seeds_once() -> list[str]:
    """Return the configs to mutate, read once."""
    if not _SEEDS:
        _SEEDS.extend(seeds())
    return _SEEDS


@dataclass
class Figures:
    """What a campaign found."""

    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    loaded: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_case: int = 0
    failures: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the figures as lines of text."""
        yield f"configs   {self.loaded + self.refused:,}: {self.loaded:,} loaded, {self.refused:,} refused"
        yield "made by   " + ", ".join(f"{kind} {number:,}" for kind, number in sorted(self.kinds.items()))
        yield "codes     " + ", ".join(f"{code} {number:,}" for code, number in sorted(self.codes.items()))
        yield f"slowest   {self.slowest:.2f} s (case {self.slowest_case})"
        yield f"memory    {peak_megabytes():.0f} MB at most"
        yield f"failures  {len(self.failures)}"
        yield from self.failures[:20]


def peak_megabytes() -> float:
    """Return the largest resident size of this process so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e6 if sys.platform == "darwin" else 1e3)


def campaign(number: int, seed: int = 0, limit_seconds: float = LIMIT_SECONDS) -> Figures:
    """Make and judge configs; the same seed makes the same ones."""
    figures = Figures()
    before = signal.signal(signal.SIGPROF, _stop)
    try:
        with TemporaryDirectory() as folder:
            for case in range(number):
                _judge(case, seed, Path(folder) / "fuzzed.yaml", figures, limit_seconds)
    finally:
        signal.signal(signal.SIGPROF, before)
    return figures


def make(case: int, seed: int) -> tuple[str, str, list[str]]:
    """Return one case: how it was made, its text, and its `--set` texts."""
    rng = random.Random(f"{seed}/{case}")
    names = list(KINDS)
    kind = rng.choices(names, [KINDS[name][0] for name in names])[0]
    text = KINDS[kind][1](rng.choice(seeds_once()), rng)
    sets = (
        [f"{rng.choice(PATHS)}{rng.choice(('=', '=', ''))}{rng.choice((*ODD_TEXT, '3', '{a: 1}'))}"]
        if rng.random() < 0.1
        else []
    )
    return kind, text, sets


def _judge(case: int, seed: int, file: Path, figures: Figures, limit_seconds: float) -> None:
    kind, text, sets = make(case, seed)
    figures.kinds[kind] += 1
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    signal.setitimer(signal.ITIMER_PROF, 5 * limit_seconds)
    began = time.process_time()
    try:
        _load(file, sets, figures)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the campaign looks for
        where = traceback.extract_tb(error.__traceback__)[-1]
        figures.failures.append(
            f"case {case} ({kind}): {type(error).__name__}: {str(error)[:200]} at {where.filename}:{where.lineno}"
        )
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - began
    if seconds > figures.slowest:
        figures.slowest, figures.slowest_case = seconds, case
    if seconds > limit_seconds:
        figures.failures.append(f"case {case} ({kind}): {seconds:.1f} s")


def _load(file: Path, sets: list[str], figures: Figures) -> None:
    problems = problems_of(file, sets)
    if problems is None:
        figures.loaded += 1
        return
    figures.refused += 1
    figures.codes.update(problem.code for problem in problems)
    if not problems:
        raise AssertionError("refused without a problem")


def problems_of(file: Path, sets: list[str]) -> tuple[Problem, ...] | None:
    """Load a config and return its problems; one that loads is checked, and written and read again."""
    try:
        config = load(str(file), sets)
    except ConfigError as error:
        return tuple(map(_complete, error.problems))
    for problem in check(config):
        _complete(problem)
    if loads(dump(config), "again") != config:
        raise AssertionError("written and read again, the config differs")
    if loads(resolved(config), "resolved").nodes != config.nodes:
        raise AssertionError("with its defaults written, the network differs")
    return None


def _complete(problem: Problem) -> Problem:
    has = (problem.file, problem.line, problem.column, problem.path, problem.message, problem.code in pages())
    if not all(has) or not problem_text(problem):
        raise AssertionError(f"incomplete: {problem}")
    return problem


def _stop(*_: object) -> None:
    raise TimeoutError("hangs")


def main() -> int:
    """Run a campaign and print its figures."""
    parser = argparse.ArgumentParser(description="Fuzz the config language.")
    parser.add_argument("--number", type=int, default=10_000, help="configs to make")
    parser.add_argument("--seed", type=int, default=0, help="seed of the campaign")
    parser.add_argument("--show", type=int, help="print one case instead")
    arguments = parser.parse_args()
    if arguments.show is not None:
        kind, text, sets = make(arguments.show, arguments.seed)
        print(f"# {kind} {sets}\n{text}")
        return 0
    figures = campaign(arguments.number, arguments.seed)
    print("\n".join(figures.lines()))
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
