"""Processes are killed and disks are full while they write: is every file the old one or the new one, whole?

    python tests/faults/write_campaign.py [--kills 500] [--full-disks 200] [--whole 60] [--quick] [--seed 0]
    python tests/faults/write_campaign.py --updates 50 --processes 40

Each trial takes place in a copy of a folder in which every file that a command writes is there already. A process is
forked that writes; it gets SIGKILL before, in the middle of or after one of its file operations, or after a random
time; or its disk takes so many bytes and no more, once by our own counting and once by the system's (RLIMIT_FSIZE).
What is there then must be old or new; the same command must succeed afterwards, and nothing but new files may be left.

`init`, `import` and `data` are the commands as they are. `eval`, `report`, `predict`, `export`, `find-lr` and `show`
need TensorFlow before they write anything, so most of their trials begin with what they write; `--whole` of the kills
are of the whole commands, forked from a process that has imported TensorFlow. `verify` writes into temporary folders
alone, so it is left out. TMPDIR=/dev/shm spares the disk.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image
from store_disk import PRIMITIVES, intercepted
from store_full import SmallDisk, file_size_limit

from cnncli.errors import CnnError
from cnncli.runs.run import Run

OPERATIONS = (*PRIMITIVES, "link", "exchange")
IMPORTED = ("cnncli.cli.app", "cnncli.cli.init", "cnncli.config.starter", "cnncli.report.files", "cnncli.tasks.task")
"""So that forked processes have it."""

SLOW = ("tensorflow", "keras", "matplotlib.figure", "cnncli.engine.exporting.export")
"""So, too, where a command needs it; no operation is done yet, which would start threads that a fork loses."""

QUICK = ("init", "eval", "report", "predict", "train")
"""Commands that import none of that."""

LEFT = re.compile(r"\.new-.*|\..*\.tmp")
"""Names of what killed processes leave: nobody takes them for a file of ours."""

CFG = (
    "[net]\nwidth=8\nheight=8\nchannels=1\n[convolutional]\nfilters=4\nsize=3\nactivation=relu\n[avgpool]\n[softmax]\n"
)

CONFIG = """
name: net
data: {source: folder, path: %s, image_size: [8, 8], channels: 1, validation: 0.25, test: 0.25}
model: {layers: [{Conv2D: {filters: 2, kernel_size: 3}}, ReLU, Flatten, {Dense: {units: 2}}]}
train: {epochs: 1, batch_size: 4}
"""


def run_in(place: Path) -> Run:
    """Return the run that every workplace has."""
    return Run(place / "runs" / "net" / "20260101-000000")


def rows(place: Path, size: int) -> str:
    """Return lines of predictions: more of them where the old ones are there already."""
    return "example,true,predicted,probability,margin\n" + "".join(f"{i},a,b,0.{i},0.1\n" for i in range(size))


def command_line(*arguments: str) -> Callable[[Path], None]:
    """Return what runs a whole command in its workplace."""

    def run(place: Path) -> None:
        from cnncli.cli.app import app

        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        app([argument.replace("RUN", str(run_in(place).path)) for argument in arguments], standalone_mode=False)

    return run


def write_evaluation(place: Path) -> None:
    """Write what `cnn eval --csv` writes."""
    from cnncli.report.files import write_text
    from cnncli.runs.evaluations import keep_evaluation
    from cnncli.tasks.measurement import count_use

    run = run_in(place)
    document = {"split": "test", "checkpoint": "step-00000001", "test_uses": count_use(run, "test"), "new": True}
    keep_evaluation(run, document, rows(place, 3000))
    write_text(place / "rows.csv", rows(place, 3000))


def write_report(place: Path) -> None:
    """Write what `cnn report` writes, into the run and elsewhere."""
    from cnncli.report.files import write_text

    text = f"<html>{'new ' * 300_000}</html>\n"
    run_in(place).write_text(run_in(place).report_file, text)
    write_text(place / "report.html", text)


def write_predictions(place: Path) -> None:
    """Write what `cnn predict --csv` writes, line by line."""
    from cnncli.report.files import text_file

    with text_file(place / "predictions.csv") as file:
        for line in rows(place, 5000).splitlines(keepends=True):
            file.write(line)


def write_picture(place: Path) -> None:
    """Write what `cnn find-lr -o` and `cnn show` write."""
    from cnncli.report.files import write_bytes

    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8)).save(content, "PNG")
    write_bytes(place / "rates.png", content.getvalue())


def write_exports(place: Path) -> None:
    """Write what `cnn export` writes: a file and a folder of files, proven in between."""
    from unittest.mock import patch

    from cnncli.engine.exporting import export

    def fill(source: Any, description: Any, path: Path) -> None:
        if path.suffix:
            path.write_bytes(b"new" * 200_000)
            return
        (path / "variables").mkdir(parents=True)
        for name in ("model", "variables/index", "variables/data"):
            (path / name).write_bytes(f"new {name}".encode() * 20_000)

    run = run_in(place)
    with patch.object(export, "prove", lambda *_: Proven()), patch.object(export, "_record", lambda *_: {"new": True}):
        run.remove_leftovers()
        for suffix in (".keras", "_saved"):
            kind = SimpleNamespace(suffix=suffix, write=fill, resizes=lambda _: False)
            export.write_one(run, SimpleNamespace(description=Proven(), config=SimpleNamespace(data=None)), kind, None)


@dataclass(frozen=True)
class Proven:
    """Stands for a description and for a proof."""

    any_size: bool = False
    path: Path | None = None


def begin_run(place: Path) -> None:
    """Write what `cnn train` writes first."""
    Run.create(place / "runs", "net", "name: net\n").update(status="failed")


@dataclass(frozen=True)
class Command:
    """Something that writes.

    Attributes:
        name: What the campaign calls it.
        run: Writes in a workplace.
        whole: Whether it is a whole command that needs TensorFlow.
    """

    name: str
    run: Callable[[Path], None]
    whole: bool = False


PLAIN = (
    Command("init", command_line("init", "new.yaml", "--from", "lenet5")),
    Command("init --data", command_line("init", "photos.yaml", "--data", "photos")),
    Command("import", command_line("import", "net.cfg", "-o", "imported.yaml")),
    Command("data", command_line("data", "photos", "--samples", "samples.png")),
    Command("eval", write_evaluation),
    Command("report", write_report),
    Command("predict", write_predictions),
    Command("find-lr", write_picture),
    Command("export", write_exports),
    Command("train", begin_run),
)
WHOLE = (
    Command("cnn eval", command_line("eval", "RUN", "--csv", "rows.csv"), True),
    Command("cnn report", command_line("report", "RUN", "-o", "report.html"), True),
    Command("cnn predict", command_line("predict", "RUN", "photos", "--csv", "predictions.csv", "--json"), True),
    Command("cnn find-lr", command_line("find-lr", "digits_lenet", "--steps", "20", "-o", "rates.png"), True),
    Command("cnn export", command_line("export", "RUN", "--format", "keras"), True),
    Command("cnn show", command_line("show", "RUN", "kernels", "-o", "kernels.png"), True),
)


def make_template(folder: Path) -> Path:
    """Make the folder that every trial begins with a copy of: a trained run, data, and old files."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 255, (9, 9), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    (folder / "net.cfg").write_text(CFG, encoding="utf-8")
    run = Run.create(folder / "runs", "net", CONFIG % (folder.parent / "photos"))
    run.path.rename(run_in(folder).path)
    shutil.copytree(folder / "photos", folder.parent / "photos")
    run = run_in(folder)
    for file in (run.evaluation_file("test"), run.predictions_file("test"), run.report_file):
        file.write_text("{}" if file.suffix == ".json" else "old", encoding="utf-8")
    run.update(status="done", best=None)
    for name in ("rows.csv", "report.html", "predictions.csv", "rates.png", "kernels.png", "samples.png"):
        (folder / name).write_text("old", encoding="utf-8")
    (run.export_dir / "net_saved").mkdir(parents=True)
    (run.export_dir / "net_saved" / "model").write_text("old", encoding="utf-8")
    for name in ("net.keras", "net.keras.parity.json", "net_saved.parity.json"):
        (run.export_dir / name).write_text("{}", encoding="utf-8")
    return folder


def train_in(folder: Path) -> None:
    """Give the run of a template a checkpoint and what else training writes, with `cnn train` itself."""
    run = run_in(folder)
    config = folder.parent / "net.yaml"
    config.write_text(CONFIG % (folder.parent / "photos"), encoding="utf-8")
    command = [sys.executable, "-m", "cnncli", "train", str(config), "--runs-dir", str(folder.parent / "trained")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    trained = Path(done.stdout.splitlines()[-1])
    for name in ("config.yaml", "run.json", "metrics.jsonl", "data.json", "origins.json", "checkpoints"):
        target = run.path / name
        shutil.copytree(trained / name, target) if (trained / name).is_dir() else shutil.copy(trained / name, target)
    run.evaluation_file("test").unlink()


def snapshot(place: Path) -> dict[str, bytes]:
    """Return what is in a workplace; folders that get their name at once count as one file, new runs have one name."""
    found: dict[str, bytes] = {}
    for path in sorted(place.rglob("*")):
        parts = path.relative_to(place).parts
        if any(LEFT.fullmatch(part) or part in (".lock", ".record.lock") for part in parts) or not path.is_file():
            continue
        name = re.sub(r"net/(?!20260101)\d{8}-\d{6}[^/]*", "net/NEW", "/".join(parts))
        name = re.sub(r"-[0-9a-f]{32}\.", "-KEY.", name)  # in the cache, of the path of the data
        unit = "/".join(name.split("/")[:5]) if "/export/" in name else name
        found[unit] = found.get(unit, b"") + (name.encode() if unit != name else b"") + path.read_bytes()
    return found


def is_whole(name: str, content: bytes) -> bool:
    """Say whether a file whose bytes are never twice the same is whole, as far as its format tells."""
    if name.endswith((".keras", ".npz")):
        return zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    if name.endswith(".json"):
        return isinstance(json.loads(content), dict)
    if name.endswith(".png"):
        Image.open(io.BytesIO(content)).load()
        return True
    return name.endswith(".html") and content.rstrip().endswith(b"</html>")


class KillAt:
    """Kills its own process before, in the middle of or after an operation, given by its number."""

    def __init__(self, number: int, moment: str, part: float) -> None:
        self.left, self.moment, self.part = number, moment, part

    def __call__(self, name: str, primitive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Do an operation, or die."""
        self.left -= 1
        if self.left >= 0:
            return primitive(*arguments)
        if self.moment == "within" and name == "write":
            data = memoryview(arguments[1]).cast("B")
            primitive(arguments[0], data[: int(self.part * len(data))])
        elif self.moment == "after":
            primitive(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Counter:
    """Counts operations."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _: str, primitive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Do an operation and count it."""
        self.count += 1
        return primitive(*arguments)


class OutOfRoom(SmallDisk):
    """A small disk, also for operations that make a name."""

    def __call__(self, name: str, primitive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Do an operation as far as there is room."""
        if self.room == 0 and name in ("create", "mkdir", "link"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().__call__(name, primitive, arguments)


def in_child(
    command: Command, place: Path, around: AbstractContextManager[Any], kill_after: float | None = None
) -> tuple[int, str]:
    """Run a command in a forked process; return its exit code, negative for a signal, and what it printed."""
    said = place.parent / f"{place.name}.txt"
    child = os.fork()
    if child == 0:
        code = 3
        try:
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for target in (1, 2):
                os.dup2(descriptor, target)
            os.chdir(place)
            with around:
                command.run(place)
            code = 0
        except CnnError as error:
            print(error.message, flush=True)
            code = 1
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""


@dataclass
class Reference:
    """What a command does when nobody disturbs it.

    Attributes:
        command: The command.
        old: What is there before.
        new: What is there afterwards.
        volatile: Files whose bytes are never twice the same.
        operations: How many file operations it takes.
        seconds: How long it takes.
    """

    command: Command
    old: dict[str, bytes]
    new: dict[str, bytes]
    volatile: set[str]
    operations: int
    seconds: float

    @classmethod
    def of(cls, command: Command, template: Path) -> Reference:
        """Run a command twice."""
        ends = []
        for number in range(2):
            place = template.with_name(f"reference-{number}")
            shutil.copytree(template, place)
            counter = Counter()
            begun = time.perf_counter()
            code, said = in_child(command, place, _counted(counter, template.with_name("count")))
            assert code == 0, (command.name, said)
            ends.append((snapshot(place), time.perf_counter() - begun))
            shutil.rmtree(place)
        (new, _), (other, seconds) = ends
        volatile = {name for name in new if new[name] != other.get(name)}
        count = int(template.with_name("count").read_text(encoding="utf-8"))
        return cls(command, snapshot(template), new, volatile, count, seconds)

    def wrong(self, place: Path) -> Iterator[str]:
        """Yield the files in a workplace that are neither old nor new."""
        found = snapshot(place)
        for name in found.keys() | self.old.keys():
            content = found.get(name)
            if content == self.old.get(name) or (content is not None and content == self.new.get(name)):
                continue
            if name in self.volatile and content is not None and is_whole(name, content):
                continue
            yield f"{self.command.name}: {name} " + ("is gone" if content is None else f"has {len(content):,} bytes")


def _counted(counter: Counter, file: Path) -> AbstractContextManager[None]:
    from contextlib import contextmanager

    @contextmanager
    def counted() -> Iterator[None]:
        with intercepted(counter, OPERATIONS):
            yield
        file.write_text(str(counter.count), encoding="utf-8")

    return counted()


def leftovers(place: Path) -> list[Path]:
    """Return what killed processes have left, outermost folders alone."""
    found = [path for path in place.rglob("*") if LEFT.fullmatch(path.name)]
    return [path for path in found if not any(LEFT.fullmatch(part) for part in path.relative_to(place).parts[:-1])]


def again(reference: Reference, place: Path) -> Iterator[str]:
    """Run a command anew where it was killed, long afterwards; yield what is wrong then: what was left must go."""
    if reference.command.name in ("init", "init --data", "import"):
        for name in ("new.yaml", "photos.yaml", "imported.yaml"):
            (place / name).unlink(missing_ok=True)  # never overwritten
    for path in leftovers(place):
        os.utime(path, (0, 0))
    code, said = in_child(reference.command, place, nullcontext())
    if code != 0:
        yield f"{reference.command.name}: afterwards exit code {code}: {said[-300:]}"
    names = snapshot(place).keys()
    if names != reference.new.keys() | names & {"runs/net/NEW/run.json", "runs/net/NEW/config.yaml"}:
        yield f"{reference.command.name}: afterwards {sorted(names ^ reference.new.keys())}"


def kill(reference: Reference, place: Path, rng: random.Random) -> tuple[bool, list[str]]:
    """Kill a command once; return whether it was killed, and what is wrong."""
    if rng.random() < 0.6 or reference.command.whole:
        last_ones = max(reference.operations - 40, 0) if reference.command.whole else 0
        number = rng.randrange(last_ones, reference.operations)
        around: Any = intercepted(KillAt(number, rng.choice(["before", "within", "after"]), rng.random()), OPERATIONS)
        code, said = in_child(reference.command, place, around)
    else:
        code, said = in_child(reference.command, place, nullcontext(), rng.uniform(0, 1.1 * reference.seconds))
    wrong = [] if code in (0, -signal.SIGKILL) else [f"{reference.command.name}: exit code {code}: {said[-500:]}"]
    wrong += reference.wrong(place)
    if not reference.command.whole or rng.random() < 0.2:
        wrong += again(reference, place)
    return code != 0, wrong


def fill_disk(reference: Reference, place: Path, rng: random.Random) -> tuple[bool, list[str]]:
    """Let a command run out of room once; return whether it did, and what is wrong."""
    largest = max(len(content) for name, content in reference.new.items() if content != reference.old.get(name))
    room = rng.randrange(int(1.2 * largest) + 1)
    around = intercepted(OutOfRoom(room), OPERATIONS) if rng.random() < 0.5 else file_size_limit(max(room, 1))
    code, said = in_child(reference.command, place, around)
    wrong = [] if code in (0, 1) else [f"{reference.command.name}: exit code {code}: {said[-500:]}"]
    wrong += reference.wrong(place)
    wrong += [f"{reference.command.name}: {path.name} is left" for path in leftovers(place)]
    return code != 0 or "cannot be written" in said, wrong


def campaign(
    folder: Path,
    trial: Callable[[Reference, Path, random.Random], tuple[bool, list[str]]],
    references: Sequence[Reference],
    trials: int,
    seed: int,
) -> tuple[int, list[str]]:
    """Disturb commands in turn; return how many were in fact disturbed, and what is wrong."""
    disturbed, wrong = 0, []
    for number in range(trials):
        place = folder / f"trial-{number}"
        shutil.copytree(folder / "template", place)
        was, found = trial(references[number % len(references)], place, random.Random(seed * 100_000 + number))
        disturbed += was
        wrong += found
        shutil.rmtree(place)
        (folder / f"{place.name}.txt").unlink(missing_ok=True)
    return disturbed, wrong


def updates(folder: Path, processes: int, number: int) -> list[str]:
    """Let processes change one run.json at the same time; return what was lost."""
    run = Run.create(folder, "net", "name: net\n")
    begin, go = os.pipe()
    children = []
    for place in range(processes):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(go)
                os.read(begin, 1)  # until all are there
                for _ in range(number):
                    run.change(lambda record: {"count": record.get("count", 0) + 1})
                run.update(**{f"done_{place}": True})
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    os.close(begin)
    os.close(go)
    failed = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children)
    record = run.record
    lost = [f"done_{place} is lost" for place in range(processes) if f"done_{place}" not in record]
    if failed or record.get("count") != processes * number:
        lost.append(f"{failed} processes failed; {record.get('count')} of {processes * number} counts are there")
    return lost


def main() -> None:
    """Run what the arguments ask for, print the figures, and exit 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("kills", 500), ("full-disks", 200), ("whole", 60), ("updates", 0), ("processes", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--quick", action="store_true", help="only commands that start quickly")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong: list[str] = []
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.updates:
            wrong = updates(folder, options.processes, options.updates)
            print(f"{options.processes} processes × {options.updates} updates: {len(wrong)} losses", end="")
        else:
            template = make_template(folder / "template")
            if options.whole:
                train_in(template)
            for library in IMPORTED if options.quick else IMPORTED + SLOW:
                importlib.import_module(library)
            commands = [command for command in PLAIN if not options.quick or command.name in QUICK]
            plain = [Reference.of(command, template) for command in commands]
            whole = [Reference.of(command, template) for command in WHOLE] if options.whole else []
            for title, trial, trials in (("kills", kill, options.kills), ("full disks", fill_disk, options.full_disks)):
                number = min(trials, options.whole if trial is kill else options.whole // 3)
                for kind, references, part in (("plain", plain, trials - number), ("whole", whole, number)):
                    if part:
                        hit, found = campaign(folder, trial, references, part, options.seed)
                        wrong += found
                        print(f"{part} {title} of {kind} commands ({hit} in time): {len(found)} wrong", flush=True)
            print(f"{len(wrong)} wrong", end="")
    print(f" ({time.perf_counter() - begun:.0f} s)")
    for line in wrong[:40]:
        print(" ", line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
