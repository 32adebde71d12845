"""Plant small mistakes in the code, one at a time, and see whether the nearest tests notice.

    python tests/campaigns/mutate_code.py                              300 mutations over all packages
    python tests/campaigns/mutate_code.py --packages layers runs --mutations 60 --seed 1
    python tests/campaigns/mutate_code.py --only cnncli/layers/transpose.py:87

Every package gets the same share of the mutations. Each is planted in a temporary copy, never in the checkout, and the
nearest tests run in a process forked from one that has TensorFlow loaded: the libraries for this either start Python
anew for each mutation (cosmic-ray), which costs more than the tests, or write every function anew beside its mutations
(mutmut), which `tf.function` and fields of classes do not bear. A mutation that no test reaches survives. Ends with 1
if one survives that `survivors.txt` does not explain.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mutation_sites import Mutation, is_real, mutations
from nearest_tests import nearest

TREE = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.txt")
FORK_SERVER = Path(__file__).with_name("fork_server.py")

COPIED = (".ci", "cnncli", "configs", "tests", "runs", "pyproject.toml", "README.md", "LICENSE", "constraints.txt")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "[0-9]*-[0-9]*", ".*_cache")

SECONDS_OF_TESTS = 15.0
"""How long the tests of one mutation may take when they pass, by default."""

LONGEST_TEST = 8.0
"""A test that takes longer is left out: a campaign, not the nearest test."""

SECOND_ROUND = 4
"""How many times as long the tests may take of a mutation that the nearest ones have not noticed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutation."""

    kind: str
    """killed, timed out or survived."""
    by: str
    """The first test that failed, or how many passed."""
    seconds: float


class Workshop:
    """A copy of the tree, and a process that runs its tests.

    Args:
        tree: The checkout.
        engine: Whether the process loads TensorFlow.
        notes: File that keeps how long the tests took, for later campaigns.
        seconds: How long the tests of one mutation may take.
    """

    def __init__(
        self, tree: Path = TREE, *, engine: bool = True, notes: Path | None = None, seconds: float = SECONDS_OF_TESTS
    ) -> None:
        self.seconds = seconds
        self.folder = Path(tempfile.mkdtemp(prefix="mutations-"))
        self.copy = self.folder / "tree"
        self.copy.mkdir()
        for name in COPIED:
            if (tree / name).is_dir():
                shutil.copytree(tree / name, self.copy / name, ignore=NOT_COPIED)
            elif (tree / name).exists():
                shutil.copy(tree / name, self.copy / name)
        self.notes = notes
        self.known: dict[str, dict[str, float]] = {}
        if notes is not None and notes.exists():
            self.known = json.loads(notes.read_text(encoding="utf-8"))
        self.code = _digest(sorted((self.copy / "cnncli").rglob("*.py")))
        self.server = self._start(engine)

    def _start(self, engine: bool) -> subprocess.Popen[str]:
        scratch = self.folder / "scratch"
        scratch.mkdir()
        ours = {"PYTHONPATH": str(self.copy), "TMPDIR": str(scratch), "XDG_CACHE_HOME": str(scratch / "cache")}
        ours |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
        ours |= {"PLAYWRIGHT_BROWSERS_PATH": os.environ.get("PLAYWRIGHT_BROWSERS_PATH", _browsers())}
        # Bytecode that is checked by the source's content: a mutated file may have the size and second of the old.
        command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "cnncli"]
        subprocess.run(command, cwd=self.copy, check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, str(FORK_SERVER), *(["--engine"] if engine else [])]
        pipe = subprocess.PIPE
        environment = os.environ | ours
        return subprocess.Popen(command, cwd=self.copy, env=environment, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, files: list[str], chosen: dict[str, float] | None, limit: int, *options: str) -> dict[str, Any]:
        """Run tests in a child of the server and return what it found."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        order = {"files": files, "chosen": chosen, "limit": limit, "options": options}
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer

    def output(self) -> str:
        """Return what the last run of tests printed."""
        return (self.folder / "scratch" / "output.txt").read_text(encoding="utf-8", errors="replace")

    def passing(self, file: str) -> dict[str, float]:
        """Return the tests of a file that pass without a mutation, and their seconds."""
        path = self.copy / file
        shared = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(self.copy / "tests")]
        key = f"{file} {_digest([path, *filter(Path.exists, shared)])} {self.code}"
        if key not in self.known:
            answer = self.run([file], None, 300)
            failed, passed = set(answer["failed"]), answer["code"] in (0, 5)
            if not passed:
                print(f"{file}: fails without a mutation, left out: {sorted(failed) or answer['code']}", flush=True)
            self.known[key] = {t: s for t, s in answer["seconds"].items() if t not in failed}
            if self.notes is not None and passed:
                self.notes.parent.mkdir(exist_ok=True)
                kept = json.loads(self.notes.read_text(encoding="utf-8")) if self.notes.exists() else {}
                self.notes.write_text(json.dumps(kept | {key: self.known[key]}), encoding="utf-8")
        return self.known[key]

    def chosen(self, module: str, seconds: float, longest: float, tried: Collection[str] = ()) -> dict[str, float]:
        """Return the nearest tests of a module that are not yet tried, as many as there is time for."""
        chosen: dict[str, float] = {}
        left = seconds
        for file in nearest(module, self.copy):
            for test, cost in sorted(self.passing(file).items(), key=lambda passed: passed[1]):
                if test not in tried and cost <= min(left, longest):
                    chosen[test] = cost
                    left -= cost
            if left < 1:
                break
        return chosen

    def try_out(self, mutation: Mutation) -> Outcome:
        """Run the nearest tests with a mutation planted; where they do not notice it, more and longer ones."""
        first = self.chosen(mutation.path, self.seconds, LONGEST_TEST)
        outcome = self._ask(mutation, first)
        if outcome.kind == "survived":
            more = self.chosen(mutation.path, SECOND_ROUND * self.seconds, SECOND_ROUND * LONGEST_TEST, first)
            outcome = self._ask(mutation, more) if more else outcome
        return outcome

    def _ask(self, mutation: Mutation, chosen: dict[str, float]) -> Outcome:
        """Plant a mutation, run tests, and take it out again."""
        if not chosen:
            return Outcome("survived", "no test", 0.0)
        path = self.copy / mutation.path
        source = path.read_bytes()
        path.write_bytes(mutation.apply(source))
        try:
            files = list(dict.fromkeys(test.split("::")[0] for test in chosen))
            answer = self.run(files, chosen, 30 + round(4 * sum(chosen.values())), "-x")
        finally:
            path.write_bytes(source)
        if answer["code"] is None:
            return Outcome("timed out", "", answer["took"])
        if answer["code"] in (0, 5):
            return Outcome("survived", f"{len(answer['seconds'])} tests", answer["took"])
        return Outcome("killed", next(iter(answer["failed"]), f"exit code {answer['code']}"), answer["took"])


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _browsers() -> str:
    return str(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ms-playwright")


def package(module: str) -> str:
    """Return the package that a module is counted with: the first folder, except for the two halves of the engine."""
    parts = Path(module).parts
    if len(parts) < 3:
        return "cnncli"
    if parts[1] == "engine" and (parts[2] == "exporting" or parts[2].startswith("insight")):
        return "engine/exporting, insight"
    return parts[1]


def sites(tree: Path, wanted: list[str]) -> dict[str, list[list[Mutation]]]:
    """Return the mutations of the wanted packages, those of one span together."""
    found: dict[str, list[list[Mutation]]] = {}
    for path in sorted((tree / "cnncli").rglob("*.py")):
        module = path.relative_to(tree).as_posix()
        if wanted and not any(package(module).startswith(name) for name in wanted):
            continue
        spans: dict[tuple[int, int], list[Mutation]] = {}
        for mutation in mutations(module, path.read_bytes()):
            spans.setdefault((mutation.start, mutation.end), []).append(mutation)
        found.setdefault(package(module), []).extend(spans.values())
    return {name: spans for name, spans in found.items() if spans}


def sample(tree: Path, found: dict[str, list[list[Mutation]]], number: int, seed: int) -> list[Mutation]:
    """Draw mutations, as many from each package as from any other; a package's draw does not depend on the others."""
    drawn = []
    for index, name in enumerate(sorted(found)):
        generator = random.Random(f"{seed} {name}")
        share = number // len(found) + (index < number % len(found))
        generator.shuffle(found[name])  # a larger draw begins with the smaller one
        chosen = (generator.choice(span) for span in found[name])
        drawn += sorted(islice((m for m in chosen if is_real(m, (tree / m.path).read_bytes())), share))
    return drawn


def at(tree: Path, place: str) -> list[Mutation]:
    """Return all mutations of a line (path:line) or of a whole module (path)."""
    path, _, line = place.partition(":")
    source = (tree / path).read_bytes()
    found = (mutation for mutation in mutations(path, source) if not line or mutation.line == int(line))
    return [mutation for mutation in found if is_real(mutation, source)]


def explained() -> dict[str, str]:
    """Return the survivors that make no difference or are not worth a test, and why."""
    reasons = {}
    for line in SURVIVORS.read_text(encoding="utf-8").splitlines() if SURVIVORS.exists() else []:
        if line and not line.startswith("#"):
            change, _, reason = line.rpartition(" | ")
            reasons[change] = reason
    return reasons


def outcomes(drawn: list[Mutation], jobs: int, seconds: float) -> Iterator[tuple[Mutation, Outcome]]:
    """Try mutations out, several at a time, and yield each with what became of it."""
    free: queue.SimpleQueue[Workshop] = queue.SimpleQueue()

    def try_out(mutation: Mutation) -> Outcome:
        workshop = free.get()
        try:
            return workshop.try_out(mutation)
        finally:
            free.put(workshop)

    with contextlib.ExitStack() as stack:
        for number in range(jobs):
            notes = TREE / "build" / f"mutations-{number}.json"
            free.put(stack.enter_context(Workshop(notes=notes, seconds=seconds)))
        pool = ThreadPoolExecutor(jobs)
        stack.callback(pool.shutdown, cancel_futures=True)
        yield from zip(drawn, pool.map(try_out, drawn), strict=True)


def main() -> int:
    """Run a campaign and print what survived, and how many by package."""
    parser = argparse.ArgumentParser(description="Plant mistakes in the code and see whether tests notice.")
    parser.add_argument("--mutations", type=int, default=300, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--packages", nargs="+", default=[], help="names, or how they begin; default: all")
    parser.add_argument("--only", nargs="+", help="PATH or PATH:LINE: every mutation there")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seconds", type=float, default=SECONDS_OF_TESTS, help="of tests for each mutation")
    parser.add_argument("--list", action="store_true", help="only say what would be tried")
    parser.add_argument("--verbose", action="store_true", help="say of every mutation what became of it")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies are removed
    begun = time.monotonic()
    if arguments.only:
        drawn = [mutation for place in arguments.only for mutation in at(TREE, place)]
    else:
        drawn = sample(TREE, sites(TREE, arguments.packages), arguments.mutations, arguments.seed)
    sources = {mutation.path: (TREE / mutation.path).read_bytes() for mutation in drawn}
    if arguments.list:
        for mutation in drawn:
            print(f"{mutation.path}:{mutation.line} {mutation.change(sources[mutation.path])}")
        return 0
    reasons = explained()
    counts: dict[str, Counter[str]] = {}
    for mutation, outcome in outcomes(drawn, arguments.jobs, arguments.seconds):
        change = mutation.change(sources[mutation.path])
        reason = reasons.get(f"{mutation.path} {change}") if outcome.kind == "survived" else None
        kind = "explained" if reason else outcome.kind
        counts.setdefault(package(mutation.path), Counter())[kind] += 1
        if outcome.kind != "killed" or arguments.verbose:
            print(f"{kind} {mutation.path}:{mutation.line} {change} | {reason or outcome.by}", flush=True)
    print("\n".join(table(counts)))
    print(f"{len(drawn)} mutations, seed {arguments.seed}, {time.monotonic() - begun:.0f} s")
    return int(any(count["survived"] for count in counts.values()))


def table(counts: dict[str, Counter[str]]) -> list[str]:
    """Return a row a package: the share that the tests noticed, of those that make a difference."""
    lines = [f"{'package':28}{'tried':>6}{'killed':>8}{'timed out':>11}{'survived':>10}{'explained':>11}{'noticed':>9}"]
    for name, count in sorted(counts.items()):
        tried = sum(count.values())
        told = count["killed"] + count["timed out"]
        share = f"{told / (tried - count['explained']):.0%}" if tried > count["explained"] else "–"
        numbers = f"{count['killed']:8}{count['timed out']:11}{count['survived']:10}{count['explained']:11}{share:>9}"
        lines.append(f"{name:28}{tried:6}{numbers}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
