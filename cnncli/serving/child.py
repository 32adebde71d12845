"""Artifacts of strangers, opened in a child process with limits on memory and time.

A network of a few kilobytes can ask for any amount of memory, loop for ever, or crash its native runtime. The child may
take what its runtime needs and what the size of the file and of the images justifies; the parent watches it, and a
child that takes more, does not answer or crashes is one `ExportError`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from cnncli.errors import ExportError
from cnncli.serving import runtimes

Pixels = npt.NDArray[np.uint8]

MEMORY = 500_000_000
"""Bytes that a runtime may take beside what the file and the images justify; onnxruntime and LiteRT take 100 MB."""

FILE_COPIES = 4
"""Copies of the weights: as read, as parsed, and as laid out for the processor."""

BYTES_PER_PIXEL = 1024
PIXELS_INCLUDED = 2**18
MOST_FOR_PIXELS = 4_000_000_000
"""Activations: bytes for each pixel of a batch beyond those that `MEMORY` includes, and the most for all of them."""

SECONDS = 6.0
"""Time for opening the file, and for each batch."""

TENSORFLOW = ("keras", "saved_model")
"""Kinds whose runtime is TensorFlow."""

TENSORFLOW_MEMORY, TENSORFLOW_PER_CORE = 500_000_000, 64_000_000
"""Bytes that it may take beside the artifact and what it holds before: for the graphs that it makes of a network, and
for the stacks of the threads that it starts for each core."""

TENSORFLOW_SECONDS_PER_BYTE = 1e-6
"""More time for each byte of an artifact, for it builds a network of layers and makes a graph of them."""

OPERATIONS_PER_SECOND = 2e10
MOST_FOR_OPERATIONS = 60.0
"""More time for a batch: as many operations as if each weight met each pixel, and the most for all of them."""

STARVED = 10
"""On a busy machine a child may take so many times as long, while it has hardly computed."""

ASLEEP = 2.0
"""TensorFlow asks for ten seconds again and again for memory that it was refused, and sleeps between: a child all of
whose threads have slept so many seconds, though an answer is due, waits for that."""

START = 120.0
"""Seconds for the start of Python and the runtime, before the file is touched."""

MOST_ANSWER = 2**28
"""Most bytes of an answer."""

MOST_HEAD = 2**25
"""Most bytes of the line before it, with an ONNX file's description."""

MEMORY_VARIABLE, SECONDS_VARIABLE = "CNN_ARTIFACT_GB", "CNN_ARTIFACT_SECONDS"
"""Environment variables that set the limits for all artifacts."""

_TICK = 0.05


@dataclass(frozen=True)
class Limits:
    """What a child may take for one answer.

    Attributes:
        memory: Bytes.
        seconds: Time for one answer.
    """

    memory: float
    seconds: float

    @classmethod
    def of(cls, file_size: int, pixels: int = 0, more_seconds: float = 0) -> Limits:
        """Return the limits for an artifact.

        Args:
            file_size: Its bytes.
            pixels: Of all images of a batch.
            more_seconds: Time beside what the others say.
        """
        weights = file_size / 4
        images = min(max(0, pixels - PIXELS_INCLUDED) * BYTES_PER_PIXEL, MOST_FOR_PIXELS)
        return cls(
            memory=_setting(MEMORY_VARIABLE, 1e9) or MEMORY + FILE_COPIES * file_size + images,
            seconds=_setting(SECONDS_VARIABLE, 1)
            or SECONDS + min(weights * pixels / OPERATIONS_PER_SECOND, MOST_FOR_OPERATIONS) + more_seconds,
        )


def _setting(variable: str, unit: float) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ExportError(f"{variable} is {text[:60]!r}; expected a number above 0")
    return value * unit


class Child:
    """An artifact in a process of its own, which ends with this object.

    Args:
        kind: "onnx", "litert", or one of `TENSORFLOW`.
        path: The file or folder.
        command: What to start instead of the runtime; for tests.
        trust: Whether a SavedModel may do more than compute.

    Raises:
        ExportError: If it cannot be opened.
    """

    def __init__(self, kind: str, path: Path, command: list[str] | None = None, *, trust: bool = False) -> None:
        self._path = path
        self._file_size = sum(f.stat().st_size for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file())
        self._is_large = kind in TENSORFLOW
        # What is killed while it reads weights leaves a temporary file there.
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command or _command(kind, path, trust),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": self._folder.name},
        )
        self._watch = _Watch(self._process)
        weakref.finalize(self, _end, self._process, self._watch, self._folder)

    def open(self) -> str | None:
        """Open the file; return what an ONNX file says about itself, if it does.

        Raises:
            ExportError: If the runtime refuses it or crashes, or it takes more than it may.
        """
        self._ask(b"", Limits(math.inf if self._is_large else MEMORY, START))
        if self._is_large:
            self._watch.allow_beside(TENSORFLOW_MEMORY + TENSORFLOW_PER_CORE * (os.cpu_count() or 1))
        heard = self._ask(b"\n", self._limits())
        description = heard.get("description")
        return description if isinstance(description, str) else None

    def compute(self, images: Pixels) -> runtimes.Named:
        """Return the outputs for a batch.

        Raises:
            ExportError: As `open`; if it answers otherwise than with one row of numbers for each image.
        """
        pixels = int(np.prod(images.shape[:3]))
        head = json.dumps({"shape": images.shape}).encode() + b"\n"
        limits = self._limits(pixels)
        heard = self._ask(head + np.ascontiguousarray(images).tobytes(), limits, answer=True)
        outputs: runtimes.Named = heard["arrays"]
        for name, array in outputs:
            if array.shape[:1] != images.shape[:1]:
                raise ExportError(
                    f"{self._path}: its output {name[:60]!r} has the shape {array.shape} for {len(images)} images"
                )
        return outputs

    def _limits(self, pixels: int = 0) -> Limits:
        more = TENSORFLOW_SECONDS_PER_BYTE * self._file_size if self._is_large else 0
        return Limits.of(self._file_size, pixels, more)

    def _ask(self, content: bytes, limits: Limits, *, answer: bool = False) -> dict[str, Any]:
        with self._watch.over(limits):
            try:
                if content:
                    _pipe(self._process.stdin).write(content)
                    _pipe(self._process.stdin).flush()
                heard = json.loads(_pipe(self._process.stdout).readline(MOST_HEAD))
                if not isinstance(heard, dict):
                    raise ValueError("no document")
                if answer and "error" not in heard:
                    heard = {"arrays": self._arrays(heard["outputs"])}
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                # Killed, crashed, or taken over by the file and talking nonsense.
                heard = {}
        if not heard:
            raise self._failure(limits)
        if "error" in heard:
            reason = str(heard["error"])
            if heard.get("memory") or "alloc" in reason.lower():
                raise too_much(self._path, limits)
            if heard.get("known"):
                raise ExportError(reason[:2000], None if heard.get("hint") is None else str(heard["hint"])[:2000])
            raise ExportError(f"its runtime cannot run {self._path}: {reason[:200]}")
        return heard

    def _arrays(self, head: list[Any]) -> runtimes.Named:
        arrays: runtimes.Named = []
        for name, kind, shape in head:
            dtype = np.dtype(str(kind))
            if dtype.kind not in "fiub" or any(type(n) is not int or n < 0 for n in shape):
                raise ValueError("not numbers")
            size = dtype.itemsize * int(np.prod(shape, dtype=object))
            if size > MOST_ANSWER:
                raise ValueError("too large")
            content = _pipe(self._process.stdout).read(size)
            arrays.append((str(name), np.frombuffer(content, dtype).reshape(shape)))
        return arrays

    def _failure(self, limits: Limits) -> ExportError:
        """Return the error for a child that has not answered."""
        self._process.kill()
        code = self._process.wait()
        if self._watch.verdict == "memory":
            return too_much(self._path, limits)
        if self._watch.verdict == "time":
            hint = f"If it is to be trusted and slow, allow more: {SECONDS_VARIABLE}=600."
            return ExportError(f"{self._path} did not answer within {round(limits.seconds, 1):g} s", hint)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ExportError(f"the runtime crashed on {self._path} ({how})", "The file is damaged, or not what it says.")


def _command(kind: str, path: Path, trust: bool) -> list[str]:
    # Neither the folder of the script nor the current one is a place for modules: a numpy.py could lie there.
    python = [sys.executable, "-P"]
    if kind in TENSORFLOW:
        return [*python, "-m", "cnncli.engine.exporting.child", str(path), "trust" if trust else "doubt"]
    return [*python, runtimes.__file__, kind, str(path)]


def too_much(path: Path, limits: Limits) -> ExportError:
    """Return the error for an artifact that takes more memory than it may."""
    hint = f"If it is to be trusted and large, allow more: {MEMORY_VARIABLE}=8."
    return ExportError(f"{path} took more than {limits.memory / 1e9:.1f} GB of memory", hint)


class _Watch:
    """Looks at a child while it computes, and kills it when it takes more than it may.

    Attributes:
        verdict: Why it was killed, "memory" or "time"; None if it was not.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.verdict: str | None = None
        self._process = process
        self._lock = threading.Lock()
        self._busy, self._closed = threading.Event(), False
        self._limits, self._began, self._used = Limits(0, 0), 0.0, 0.0
        self._resident, self._data = 0, 0
        self._sleep = _Sleep(process.pid)
        threading.Thread(target=self._look, daemon=True, name="watch").start()

    def allow_beside(self, memory: int) -> None:
        """Count from now on only what is taken beyond what is held already and a number of bytes."""
        self._resident = _status_bytes(self._process.pid, "VmRSS") + memory
        self._data = _status_bytes(self._process.pid, "VmData") + memory

    def over(self, limits: Limits) -> _Watch:
        """Set the limits of what happens in a `with` block."""
        with self._lock:
            self._limits, self._began = limits, time.monotonic()
            self._used = _cpu_seconds(self._process.pid)
            self._sleep.begin()
        _limit_data(self._process.pid, self._data + limits.memory)
        return self

    def __enter__(self) -> None:
        self._busy.set()

    def __exit__(self, *_: object) -> None:
        self._busy.clear()

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        self._busy.set()

    def _look(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(_TICK)
            if self._closed or self._process.returncode is not None:
                return
            with self._lock:
                if self._busy.is_set() and (verdict := self._exceeded()):
                    self.verdict = verdict
                    self._process.kill()
                    return

    def _exceeded(self) -> str | None:
        if _status_bytes(self._process.pid, "VmRSS") > self._resident + self._limits.memory:
            return "memory"
        if self._limits.memory < math.inf and self._sleep.look() * _TICK > ASLEEP:
            return "memory"
        waited = time.monotonic() - self._began
        if waited < self._limits.seconds:
            return None
        computed = _cpu_seconds(self._process.pid) - self._used
        starved = computed < self._limits.seconds / 2 and waited < STARVED * self._limits.seconds
        return None if starved else "time"


class _Sleep:
    """Counts the looks at which no thread of a process had computed, nor waited for a processor or a disk.

    Looks, not seconds: those in which this process itself is stopped do not count.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._computed, self._looks = 0.0, 0

    def look(self) -> int:
        """Look once more; return at how many in a row all threads slept, 0 where the system does not tell."""
        computed, states = _cpu_seconds(self._pid), _states(self._pid)
        asleep = computed == self._computed and states == {"S"}
        self._computed, self._looks = computed, self._looks + 1 if asleep else 0
        return self._looks


def _states(pid: int) -> set[str]:
    """Return the states of a process's threads, such as "R", "S" or "D"; none where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return {(thread / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] for thread in threads}
    return set()


def _status_bytes(pid: int, name: str) -> int:
    with suppress(OSError, ValueError, StopIteration):
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{name}:"))
    return 0


def _cpu_seconds(pid: int) -> float:
    """Return how long a process has computed; where the system does not tell, the time of the clock."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return time.monotonic()


def _limit_data(pid: int, memory: float) -> None:
    """Let the kernel refuse memory that would be taken at one stroke, between two looks."""
    if sys.platform != "linux" or memory == math.inf:
        return
    import resource

    stacks = 32_000_000 * (os.cpu_count() or 1)
    with suppress(OSError, ValueError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
        resource.prlimit(pid, resource.RLIMIT_DATA, (int(memory) + stacks, hard))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - opened above
    return pipe


def _end(process: subprocess.Popen[bytes], watch: _Watch, folder: tempfile.TemporaryDirectory[str]) -> None:
    watch.close()
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()
    folder.cleanup()
