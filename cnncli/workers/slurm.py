"""What Slurm says of a job's tasks in environment variables: one task of a step is one worker.

The variables are those that `srun` sets for each task (srun(1), "OUTPUT ENVIRONMENT VARIABLES").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from cnncli.errors import CnnError

WITH_SRUN = "Start it with srun, one task for each worker: srun --ntasks=4 cnn train CONFIG --cluster slurm."
"""What to do where Slurm's variables are missing or do not fit together."""

FIRST_PORT = 20_000
NUM_PORTS = 12_768
"""Ports 20000 to 32767: from 32768 on, Linux gives ports to outgoing connections."""

_JOB_STRIDE = 7_891
"""Ports between two jobs of consecutive numbers: their part of NUM_PORTS by the golden ratio keeps many jobs apart."""
_STEP_STRIDE = 64
"""Ports between two steps of a job, which may run side by side."""

_MOST_HOSTS = 65_536
"""As many as Slurm itself takes in one range."""

_HOST = re.compile(r"(?:[^][,\s]|\[[^][]*\])+")
_RANGE = re.compile(r"(?P<low>[0-9]{1,18})(?:-(?P<high>[0-9]{1,18}))?")
_TASKS = re.compile(r"(?P<tasks>[0-9]{1,9})(?:\(x(?P<nodes>[0-9]{1,9})\))?")

_CYCLIC, _BLOCK = "cyclic", "block"


def is_requeued(environment: Mapping[str, str]) -> bool:
    """Say whether Slurm has started this job before: it was requeued, or its node failed.

    Args:
        environment: The environment variables, `os.environ`.
    """
    count = environment.get("SLURM_RESTART_COUNT", "")
    return count.isascii() and count.isdigit() and count.strip("0") != ""


def step_name(environment: Mapping[str, str]) -> str:
    """Return what names a job's step on its cluster, "hpc/4711.0": the same after the job was requeued.

    The steps of a job are numbered in the order of its `srun` commands, so that the first of a requeued job is the
    first one again. `Run.record` keeps it as `slurm_step`, by which `runs.find.of_slurm_step` finds the step's run.

    Args:
        environment: The environment variables of a task.

    Raises:
        CnnError: If this is no task of a step.
    """
    numbers = f"{_whole(environment, 'SLURM_JOB_ID')}.{_whole(environment, 'SLURM_STEP_ID')}"
    return "/".join(filter(None, (environment.get("SLURM_CLUSTER_NAME"), numbers)))


def workers(environment: Mapping[str, str]) -> tuple[tuple[str, ...], int]:
    """Return "host:port" of each task of a step, by rank, and the rank of this one.

    Args:
        environment: The environment variables of a task.

    Raises:
        CnnError: If this is no task of a step, its variables contradict each other, or its tasks are distributed over
            the nodes in another way than `block` or `cyclic`.
    """
    rank = _whole(environment, "SLURM_PROCID")
    hosts = hosts_by_rank(
        expand(_required(environment, "SLURM_STEP_NODELIST")),
        tasks_per_node(_required(environment, "SLURM_STEP_TASKS_PER_NODE")),
        environment.get("SLURM_DISTRIBUTION", ""),
    )
    num_tasks = _whole(environment, "SLURM_STEP_NUM_TASKS")
    if len(hosts) != num_tasks:
        raise _contradiction(f"SLURM_STEP_TASKS_PER_NODE has {len(hosts)} tasks, SLURM_STEP_NUM_TASKS {num_tasks}")
    if rank >= num_tasks:
        raise _contradiction(f"SLURM_PROCID is {rank}, but there are {num_tasks} tasks")
    here = environment.get("SLURMD_NODENAME")
    if here is not None and here != hosts[rank]:
        raise _contradiction(f"task {rank} should be on the node {hosts[rank]}, but SLURMD_NODENAME is {here}")
    job, step = _whole(environment, "SLURM_JOB_ID"), _whole(environment, "SLURM_STEP_ID")
    return tuple(f"{host}:{port(job, step, index)}" for index, host in enumerate(hosts)), rank


def port(job: int, step: int, rank: int) -> int:
    """Return the port of a worker: every worker of a step has another, and steps on one machine rarely share one.

    Workers differ by rank and not by their place on a node, because several nodes may be one machine.

    Args:
        job: Number of the job.
        step: Number of the step in the job.
        rank: The worker.
    """
    return FIRST_PORT + (job * _JOB_STRIDE + step * _STEP_STRIDE + rank) % NUM_PORTS


def hosts_by_rank(hosts: Sequence[str], tasks: Sequence[int], distribution: str) -> tuple[str, ...]:
    """Return the host of each task, as `srun --distribution` puts them there.

    Args:
        hosts: The step's nodes.
        tasks: Number of tasks on each of them.
        distribution: SLURM_DISTRIBUTION, such as "block" or "cyclic:block"; empty for Slurm's default. What follows
            the colon places tasks within a node.

    Raises:
        CnnError: If the numbers of nodes differ, or it is another distribution.
    """
    if len(hosts) != len(tasks):
        raise _contradiction(f"the node list has {len(hosts)} nodes, SLURM_STEP_TASKS_PER_NODE {len(tasks)}")
    kind = re.split("[:,]", distribution)[0].strip().lower()
    if kind in ("", "*", _BLOCK):
        return tuple(host for host, number in zip(hosts, tasks, strict=True) for _ in range(number))
    if kind == _CYCLIC:
        rounds = range(max(tasks, default=0))
        return tuple(host for n in rounds for host, number in zip(hosts, tasks, strict=True) if number > n)
    raise CnnError(
        f"SLURM_DISTRIBUTION is {distribution!r}: on which node each task runs is known only for block and cyclic",
        "Start it with srun --distribution=block.",
    )


def tasks_per_node(text: str) -> tuple[int, ...]:
    """Return the number of tasks of each node.

    Example: tasks_per_node("2(x3),1") == (2, 2, 2, 1)

    Raises:
        CnnError: If it is not such a text.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _TASKS.fullmatch(part)
        times = int(match["nodes"] or 1) if match else 0
        if match is None or len(found) + times > _MOST_HOSTS:
            raise CnnError(f"{text!r} is not a number of tasks for each node, such as 2(x3),1", WITH_SRUN)
        found += [int(match["tasks"])] * times
    if sum(found) > _MOST_HOSTS:
        raise CnnError(f"{text!r} is more than {_MOST_HOSTS:,} tasks", WITH_SRUN)
    return tuple(found)


def expand(hostlist: str) -> tuple[str, ...]:
    """Return the hosts of a list in Slurm's form, in the order of `scontrol show hostnames`.

    A number is written as wide as its range begins: n[08-11] is n08, n09, n10, n11. What follows a bracket is taken as
    it is.

    Example: expand("a,n[2,10-11]") == ("a", "n2", "n10", "n11")

    Raises:
        CnnError: If it is not such a list.
    """
    found: list[str] = []
    for text in _split(hostlist):
        found += _hosts(text, hostlist)
        if len(found) > _MOST_HOSTS:
            raise _not_a_list(hostlist)
    if not found:
        raise _not_a_list(hostlist)
    return tuple(found)


def _split(hostlist: str) -> list[str]:
    """Return what is between the commas outside brackets."""
    parts = _HOST.findall(hostlist)
    if re.sub(r"[,\s]", "", _HOST.sub("", hostlist)):
        raise _not_a_list(hostlist)
    return parts


def _hosts(text: str, hostlist: str) -> Iterator[str]:
    """Yield the hosts of one part.

    The last bracket counts fastest. Of three and more, Slurm then counts the first, and so on: r[1-2]c[0-1]n[8-9] is
    r1c0n8, r1c0n9, r2c0n8, r2c0n9, r1c1n8 …
    """
    outside = re.split(r"\[[^]]*\]", text)
    numbers = [_numbers(ranges, hostlist) for ranges in re.findall(r"\[([^]]*)\]", text)]
    if math.prod(map(len, numbers)) > _MOST_HOSTS:
        raise _not_a_list(hostlist)
    if not numbers:
        yield text
        return
    for *first, last in product(*reversed(numbers[:-1]), numbers[-1]):
        chosen = (*reversed(first), last, "")
        yield "".join(part + number for part, number in zip(outside, chosen, strict=True))


def _numbers(ranges: str, hostlist: str) -> list[str]:
    """Return the numbers of "001-010,12"."""
    found: list[str] = []
    for text in ranges.split(","):
        match = _RANGE.fullmatch(text)
        low, high = (int(match["low"]), int(match["high"] or match["low"])) if match else (1, 0)
        if match is None or not low <= high < low + _MOST_HOSTS - len(found):
            raise _not_a_list(hostlist)
        found += [str(number).zfill(len(match["low"])) for number in range(low, high + 1)]
    return found


def _not_a_list(hostlist: str) -> CnnError:
    shown = hostlist if len(hostlist) <= 100 else f"{hostlist[:100]}…"
    return CnnError(f"{shown!r} is not a list of nodes as Slurm writes it, such as n[1-4,7]", WITH_SRUN)


def _required(environment: Mapping[str, str], name: str) -> str:
    found = environment.get(name, "")
    if not found:
        raise CnnError(f"--cluster slurm reads the environment variable {name}, which is not set", WITH_SRUN)
    return found


def _whole(environment: Mapping[str, str], name: str) -> int:
    found = _required(environment, name)
    if not (found.isascii() and found.isdigit() and len(found) <= 18):
        raise CnnError(f"{name} is {found!r}; expected a whole number", WITH_SRUN)
    return int(found)


def _contradiction(what: str) -> CnnError:
    return CnnError(f"Slurm's variables contradict each other: {what}", WITH_SRUN)
