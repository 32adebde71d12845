"""Many processes at once on one folder of runs: does the lock part them, and does every start get its own directory?

    python tests/faults/store_processes.py [--starts 32] [--kills 20]

Two processes on one run: one holds it, the other is told who does; the holder is killed (SIGKILL)
and the run must be free at once. Then many processes make a run of the same name at the same
moment, and many take one lock in turn and count how many are inside.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cnncli.errors import RunError
from cnncli.runs.run import Run

HOLD = """
import sys, time
from collections.abc import Sequence
from pathlib import Path
from cnncli.runs.run import Run
with Run.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def kill_holders(run: Run, num_kills: int) -> tuple[list[str], float, float]:
    """Kill the holder of a run again and again.

    Returns:
        What went wrong, the longest time until the second process was told, and until the run was free, in seconds.
    """
    wrong, told, freed = [], 0.0, 0.0
    for _ in range(num_kills):
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE, text=True)
        with holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            begun = time.perf_counter()
            message = _try(run)
            told = max(told, time.perf_counter() - begun)
            if message is None or f"process {holder.pid} on" not in message or "\n" in message:
                wrong.append(f"second process was told: {message}")
            holder.kill()
            holder.wait()
        begun = time.perf_counter()
        message = _try(run)
        freed = max(freed, time.perf_counter() - begun)
        if message is not None:
            wrong.append(f"after the kill: {message}")
    return wrong, told, freed


def _try(run: Run) -> str | None:
    """Lock a run and let it go; return why it could not be, or None."""
    try:
        with run.lock():
            return None
    except RunError as error:
        return str(error)


def start(runs_dir: Path, barrier: multiprocessing.synchronize.Barrier) -> None:
    """Make a run together with all others."""
    barrier.wait()
    Run.create(runs_dir, "net", f"name: net\nseed: {multiprocessing.current_process().name}\n")


def take_turns(path: Path, barrier: multiprocessing.synchronize.Barrier, counts: multiprocessing.Queue[int]) -> None:
    """Take a lock 20 times and report how many were inside at the worst moment."""
    inside, run, most, done = path / "inside", Run(path), 0, 0
    barrier.wait()
    while done < 20:
        try:
            with run.lock():
                (inside / str(multiprocessing.current_process().pid)).touch()
                most = max(most, len(list(inside.iterdir())))
                (inside / str(multiprocessing.current_process().pid)).unlink()
                done += 1
        except RunError:
            continue
    counts.put(most)


def simultaneous_starts(runs_dir: Path, num_starts: int) -> int:
    """Make runs at the same moment; return how many whole directories with different configs there are."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(num_starts)
    processes = [context.Process(target=start, args=(runs_dir, barrier)) for _ in range(num_starts)]
    _run(processes)
    return len({Run.open(path).config_file.read_text(encoding="utf-8") for path in (runs_dir / "net").iterdir()})


def most_inside(path: Path, num_processes: int) -> int:
    """Return how many processes were ever inside one lock together."""
    (path / "inside").mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    barrier, counts = context.Barrier(num_processes), context.Queue()
    _run([context.Process(target=take_turns, args=(path, barrier, counts)) for _ in range(num_processes)])
    return max(counts.get() for _ in range(num_processes))


def _run(processes: Sequence[multiprocessing.process.BaseProcess]) -> None:
    """Start processes and wait for all."""
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def main() -> None:
    """Run all and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=32)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder), "held", "name: held\n")
        wrong, told, freed = kill_holders(run, arguments.kills)
        print(
            f"killed holders: {arguments.kills}, {len(wrong)} wrong; "
            f"the second was told in {told:.2f} s, the run was free after {freed:.3f} s"
        )
        directories = simultaneous_starts(Path(folder), arguments.starts)
        print(f"simultaneous starts: {arguments.starts} made {directories} directories")
        most = most_inside(Path(folder) / "turns", 4)
        print(f"4 processes taking turns 20 times: at most {most} inside")
    for line in wrong[:20]:
        print(" ", line)
    raise SystemExit(bool(wrong) or directories != arguments.starts or most != 1)


if __name__ == "__main__":
    main()
