"""Mutated files of runs and artifacts by the thousand: every command answers, and believes no changed number.

    python tests/campaigns/mutate_records.py --number 20000

Trains two tiny runs, measures and exports them. Then, again and again: one file of the first run (or of its exports) is
damaged (bytes flipped, cut off, swapped with another; values of its JSON replaced, keys removed) and one command is run
on it, in this process. For each command it prints how many were

    equal       accepted, and printed what it prints of the whole files
    told        ended with an error, or named the run as damaged
    as written  accepted with other values, from a file without a checksum (config.yaml, run.json, metrics.jsonl, ...)
    believed    accepted with other values, although the file has a checksum: must be 0
    tracebacks  ended with anything else than a known error: must be 0

Commands that need TensorFlow are drawn less often; `--plain` leaves them out. The exit code is 1 if one must be 0 and
is not; `--seed` repeats a campaign.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import re
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CONFIG = """
name: tiny
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  layers:
    - Flatten
    - Dense: {units: 10}
train: {epochs: 2, batch_size: 600, replay: true}
"""

VALUES: tuple[Any, ...] = (
    *(5, "y", [], {}, None, -1, 1.5, True, "", 0, [1], {"a": 1}, 10**30, "x" * 100_000, "\ud800", "\x1b[31m"),
    *(float("inf"), float("nan"), 1e-310, -1e300, "../../../etc/passwd", [[[]]], ["\u202e"]),
)
"""What a value of a JSON document is replaced by."""

SEALED = (
    "data.json",
    "evaluation-",
    "predictions-",
    "invariance-",
    "arrays.bin",
    "manifest.json",
    "export/",
    "proof",
    "replay",
)
"""How files begin, below the run or in a folder of it, whose changes must be told."""

PLAIN = {"runs": 8, "compare": 8, "predict": 4}
ENGINE = {"eval": 2, "report": 1, "export": 1, "resume": 1}
"""Commands, and how often each is drawn."""

READ_BY = {
    "runs": ("run.json", "metrics.jsonl"),
    "compare": (
        "run.json",
        "metrics.jsonl",
        "config.yaml",
        "evaluation-test.json",
        "predictions-test.csv",
        "manifest.json",
    ),
    "predict": ("export/tiny.onnx", "export/tiny.onnx.parity.json"),
    "eval": ("run.json", "data.json", "config.yaml", "manifest.json", "arrays.bin", "evaluation-test.json"),
    "report": (
        *("run.json", "data.json", "config.yaml", "metrics.jsonl", "origins.json", "manifest.json", "arrays.bin"),
        *("evaluation-test.json", "predictions-test.csv", "invariance-test.json", "examples.npz", "epoch-0001.npz"),
    ),
    "export": ("run.json", "data.json", "config.yaml", "manifest.json", "arrays.bin", "proof.npz"),
    "resume": ("run.json", "data.json", "config.yaml", "metrics.jsonl", "origins.json", "manifest.json", "arrays.bin"),
}
"""Ends of the names of the files that a command reads."""


# Mutations: of bytes, and of what JSON holds.


def flipped(content: bytes, generator: random.Random) -> bytes:
    """Flip a few bits."""
    spoilt = bytearray(content)
    for _ in range(generator.choice((1, 1, 3, 30))):
        if spoilt:
            spoilt[generator.randrange(len(spoilt))] ^= 1 << generator.randrange(8)
    return bytes(spoilt)


def cut(content: bytes, generator: random.Random) -> bytes:
    """Cut the end off."""
    return content[: generator.randrange(len(content) + 1)]


def nested(content: bytes, generator: random.Random) -> bytes:
    """Nest deeper than any parser goes."""
    return b"[" * 100_000


def foreign(content: bytes, generator: random.Random) -> bytes:
    """Hold something that is not meant at all."""
    return generator.choice(
        (b"", b"5\n", b"[1]\n", b"{}\n", b"[]", b"\xff\xfe\x00", b"null", b'{"classes": 5}', b"\n\n", b"1e999\n")
    )


def changed(document: Any, generator: random.Random) -> Any:
    """Return a document with a value replaced, a key removed, an item doubled, or a number a little different."""
    document = copy.deepcopy(document)
    places = list(_places(document))
    if not places:
        return generator.choice(VALUES)
    parent, key = generator.choice(places)
    kind = generator.randrange(5)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
        parent[key] = parent[key] + generator.choice((1, -1, 0.01))
    elif kind == 2 and isinstance(parent, list):
        parent.append(parent[key])
    elif kind == 3:
        value: Any = 0
        for _ in range(generator.choice((3, 70, 900))):
            value = [value]
        parent[key] = value
    else:
        parent[key] = generator.choice(VALUES)
    return document


def _places(document: Any) -> Any:
    waiting = [document]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else []
        for key in keys:
            yield part, key
            waiting.append(part[key])


def mutated(file: Path, content: bytes, generator: random.Random) -> bytes:
    """Return a file's content after one mutation that fits it."""
    if file.suffix in (".json", ".jsonl") and generator.random() < 0.75:
        if file.suffix == ".jsonl":
            lines = content.decode().splitlines()
            place = generator.randrange(len(lines))
            lines[place] = json.dumps(changed(json.loads(lines[place]), generator))
            return ("\n".join(lines) + "\n").encode()
        return json.dumps(changed(json.loads(content), generator), indent=1).encode()
    return generator.choice((flipped, flipped, cut, nested, foreign))(content, generator)


# The runs, and commands on them.


@dataclass
class Heard:
    """How a command ended.

    Attributes:
        code: Its exit code; None where it ended with an exception that is no known error.
        text: What it printed, or the traceback.
        notes: What it said on stderr.
    """

    code: int | None
    text: str
    notes: str = ""


def call(*arguments: str) -> Heard:
    """Run a command in this process, as `cnn` would."""
    from typer.testing import CliRunner

    from cnncli.cli.app import app
    from cnncli.errors import CnnError

    result = CliRunner().invoke(app, list(arguments))
    error = result.exception
    if isinstance(error, CnnError):
        return Heard(error.exit_code, "", str(error.message))
    # `main` makes one line of these as well.
    if isinstance(error, OSError | MemoryError):
        return Heard(1, "", str(error))
    if error is not None and not isinstance(error, SystemExit):
        return Heard(None, "".join(traceback.format_exception(error)))
    printed = result.stdout
    if arguments[0] == "report" and result.exit_code == 0:
        printed = Path(arguments[-1]).read_text(encoding="utf-8")
    return Heard(result.exit_code, printed, result.stderr)


@dataclass
class Runs:
    """Two runs in a folder, and a copy of them as they were.

    Attributes:
        folder: Where everything lies.
        run: The first one.
        whole: The copy.
        other: The second one's directory.
    """

    folder: Path
    run: Path = field(init=False)
    whole: Path = field(init=False)
    other: Path = field(init=False)

    def make(self, engine: bool) -> None:
        """Train and measure them; export the first one where TensorFlow is to be called at all."""
        (self.folder / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
        runs_dir = str(self.folder / "runs")
        for seed in ("0", "1"):
            _done(call("train", str(self.folder / "tiny.yaml"), "--runs-dir", runs_dir, "--set", f"seed={seed}"))
            _done(call("eval", "latest", "--runs-dir", runs_dir, *(["--invariance"] if engine and seed == "0" else [])))
        self.run, self.other = sorted((self.folder / "runs" / "tiny").iterdir())
        _done(call("export", str(self.run), "--format", "onnx"))
        self.keep_copy()
        from PIL import Image

        Image.effect_noise((8, 8), 64).save(self.folder / "image.png")

    def keep_copy(self) -> None:
        """Keep the first run as it is now."""
        self.whole = self.folder / "whole"
        shutil.copytree(self.run, self.whole)

    def command(self, name: str) -> list[str]:
        """Return the arguments of a command on the first run."""
        run = str(self.run)
        return {
            "runs": ["runs", "--runs-dir", str(self.folder / "runs"), "--json"],
            "compare": ["compare", run, str(self.other), "--json"],
            "predict": ["predict", f"{run}/export/tiny.onnx", str(self.folder / "image.png"), "--json"],
            "eval": ["eval", run, "--split", "validation", "--json"],
            "report": ["report", run, "-o", str(self.folder / "report.html")],
            "export": ["export", run, "--format", "keras", "--json"],
            "resume": ["resume", run, "--json", "--set", "train.epochs=3"],
        }[name]

    def restore(self) -> None:
        """Make the first run what it was."""
        shutil.rmtree(self.run)
        shutil.copytree(self.whole, self.run)

    def files(self, command: str) -> list[Path]:
        """Return the files of the first run that a command reads."""
        ends = READ_BY[command]
        every = sorted(path for path in self.run.rglob("*") if path.is_file())
        return [path for path in every if path.relative_to(self.run).as_posix().endswith(ends)]


def _done(heard: Heard) -> None:
    if heard.code != 0:
        raise SystemExit(f"a command failed on whole files: {heard.notes or heard.text}")


CLOCK = frozenset({"seconds", "images_per_second", "test_uses", "started", "ended", "run", "path", "sha256", "bytes"})
"""What a command prints differently each time; a `.keras` file holds the time at which it was written."""


USES = re.compile(r"<dt>Uses of the test split</dt><dd>\d+")
LEFT_OUT = ("No predictions are shown", "No examples are shown")
"""What a report says of a part that is not there."""


def numbers_of(text: str) -> Any:
    """Return what a command printed without clocks and paths; of a report, the page."""
    if text.startswith("<!"):
        return USES.sub("", text)
    try:
        return _without_clock(json.loads(text))
    except ValueError:
        return ""


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clock(item) for key, item in value.items() if key not in CLOCK}
    return [_without_clock(item) for item in value] if isinstance(value, list) else value


def is_sealed(file: Path, run: Path) -> bool:
    """Say whether a change of a file must be told."""
    name = file.relative_to(run).as_posix()
    return name.startswith(SEALED) or file.name.startswith(SEALED)


def campaign(
    runs: Runs,
    number: int,
    seed: int,
    shares: dict[str, int],
    tell: Callable[[str], None],
    seconds: float = float("inf"),
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Mutate and run so many times.

    Args:
        runs: What is mutated.
        number: Mutations.
        seed: Of the choices.
        shares: Commands, and how often each is drawn.
        tell: Hears of what must not be.
        seconds: When to stop before all are done.

    Returns:
        How often each command ended how, and what must not be.
    """
    generator = random.Random(seed)
    expected = {}
    for name in shares:
        heard = call(*runs.command(name))
        _done(heard)
        expected[name] = numbers_of(heard.text)
        runs.restore()
    counts: dict[str, Counter[str]] = {name: Counter() for name in shares}
    problems: list[str] = []
    until = time.perf_counter() + seconds
    for turn in range(number):
        if time.perf_counter() > until:
            break
        name = generator.choices(list(shares), list(shares.values()))[0]
        file = generator.choice(runs.files(name))
        content = file.read_bytes()
        spoilt = _mutation(file, content, runs, generator)
        file.write_bytes(spoilt)
        heard = call(*runs.command(name))
        ending = _ending(heard, expected[name], spoilt == content, is_sealed(file, runs.run))
        counts[name][ending] += 1
        if ending in ("tracebacks", "believed"):
            what = f"turn {turn}: {name} with {file.relative_to(runs.run)}: {ending}"
            problems.append(f"{what}\n{spoilt[:300]!r}\n{heard.text[-1500:]}")
            tell(problems[-1])
        if name in PLAIN:
            file.write_bytes(content)
        else:
            runs.restore()
            _forget_networks(turn)
    return counts, problems


def _mutation(file: Path, content: bytes, runs: Runs, generator: random.Random) -> bytes:
    if generator.random() < 0.05:  # Another file of the run, or the other run's.
        others = [path for path in runs.run.rglob("*") if path.is_file() and path != file]
        return generator.choice(others).read_bytes()
    return mutated(file, content, generator)


def _ending(heard: Heard, expected: Any, is_whole: bool, sealed: bool) -> str:
    if heard.code is None:
        return "tracebacks"
    if heard.code != 0 or '"damaged"' in heard.text or _has_notes(heard.text):
        return "told"
    if is_whole or numbers_of(heard.text) == expected:
        return "equal"
    if heard.text.startswith("<!") and any(sentence in heard.text for sentence in LEFT_OUT):
        return "told"
    return "told" if "warning" in heard.notes or "damaged" in heard.notes else "believed" if sealed else "as written"


def _has_notes(text: str) -> bool:
    """Say whether a command told something about a run or its examples beside its numbers."""
    try:
        document = json.loads(text)
        return bool(document.get("notes") or document.get("doubts"))
    except (ValueError, AttributeError):
        return False


def _forget_networks(turn: int) -> None:
    """Let go of the graphs of networks that are gone: a process that builds thousands would fill the memory."""
    if turn % 20 == 0:
        import keras

        keras.backend.clear_session()


def _say(text: str) -> None:
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--number", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="leave out the commands that need TensorFlow")
    parser.add_argument("--only", choices=[*PLAIN, *ENGINE], help="run one command alone")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    wanted = parser.parse_args(arguments)
    shares = PLAIN if wanted.plain else PLAIN | ENGINE
    if wanted.only:
        shares = {wanted.only: 1}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        runs = Runs(Path(folder))
        runs.make(engine=any(name in ENGINE for name in shares))
        counts, problems = campaign(runs, wanted.number, wanted.seed, shares, _say, 60 * wanted.minutes)
    names = ("equal", "told", "as written", "believed", "tracebacks")
    print(f"{'command':10}{'number':>8}" + "".join(f"{name:>12}" for name in names))
    for command, found in counts.items():
        print(f"{command:10}{found.total():8,}" + "".join(f"{found[name]:12,}" for name in names))
    total = sum(found.total() for found in counts.values())
    print(f"{total:,} mutations in {time.perf_counter() - begun:.0f} s, {len(problems)} that must not be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
