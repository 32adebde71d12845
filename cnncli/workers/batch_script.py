"""The script that `sbatch` takes: what a job asks Slurm for, and how it comes back after its time limit."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from cnncli.errors import CnnError
from cnncli.plural import counted
from cnncli.workers.cluster import require_power_of_two, require_shards

WARNING_SECONDS = 120
"""How long before the time limit Slurm sends SIGTERM; up to a minute more, because it looks once a minute."""

_SHORTEST_MINUTES = 4
"""The shortest time limit that leaves some time to train."""

_PLAIN = re.compile(r"[A-Za-z0-9_.,:@+%/=-]+")
_TIME = re.compile(
    r"(?:(?P<days>\d{1,4})-)(?P<of_day>\d{1,2})(?::(?P<minutes_of_day>\d{1,2})(?::\d{1,2})?)?"
    r"|(?P<hours>\d{1,4}):(?P<minutes_of_hour>\d{1,2}):\d{1,2}"
    r"|(?P<minutes>\d{1,6})(?::\d{1,2})?"
)

_SCRIPT = """\
#!/bin/bash
{requests}

{about}
{command}
status=$?

# After the time limit the job goes back into the queue; not where SIGTERM came for another reason.
end=$(date --date="$(squeue --noheader --jobs="{job}" --format=%e)" +%s 2>/dev/null)
if [ "$status" -eq 143 ] && [ -n "$end" ] && [ $((end - $(date +%s))) -lt {near} ]; then
    scontrol requeue "{job}"
fi
exit "$status"
"""

_OF_WORKERS = """\
# Each task is a worker. Two minutes before the time limit Slurm sends them SIGTERM (--signal): all stop at the same
# step with a checkpoint and end with 143. A job that starts again goes on with its own run."""
_OF_ARRAY = """\
# Each job of the array trains one trial of the sweep after the other. Two minutes before the time limit Slurm sends it
# SIGTERM (--signal): the training stops with a checkpoint, the job ends with 143. Any job goes on with any trial."""

_JOB = "$SLURM_JOB_ID"
_JOB_OF_ARRAY = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
"""One job of an array: the number of its last one is that of the whole array, too."""


@dataclass(frozen=True)
class Request:
    """What a job asks Slurm for.

    Attributes:
        workers: Number of tasks, each a worker; None for as many as the nodes have.
        nodes: Number of nodes, or None to leave it to Slurm.
        tasks_per_node: Number of tasks on each node, or None to leave it to Slurm.
        cpus_per_task: Number of processors of each worker, or None for Slurm's default.
        gpus_per_task: Number of GPUs of each worker, or None.
        time: Time limit in one of Slurm's forms, or None for the partition's.
        partition: Where to run, or None for Slurm's default.
        account: Whom to charge, or None for Slurm's default.
        array: Number of jobs of an array, each with so many tasks; None for a single job.
    """

    workers: int | None = None
    nodes: int | None = None
    tasks_per_node: int | None = None
    cpus_per_task: int | None = None
    gpus_per_task: int | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    array: int | None = None

    @property
    def num_workers(self) -> int:
        """How many workers there will be: one unless something else is said; on several nodes one on each."""
        return self.workers or (self.nodes or 1) * (self.tasks_per_node or 1)


def require_possible(request: Request, shards: int) -> None:
    """Check what a job asks for.

    Args:
        request: What it asks for.
        shards: The config's `train.shards`: the largest number of workers.

    Raises:
        CnnError: If the numbers do not fit together, there are more workers than shards, or a text is none of Slurm's.
    """
    workers = request.num_workers
    require_power_of_two(workers, "The job")
    require_shards(workers, shards)
    _require_nodes(request)
    _require_time(request.time)
    for option, text in (("--partition", request.partition), ("--account", request.account)):
        if text is not None and not _PLAIN.fullmatch(text):
            raise CnnError(f"{option} {text!r} is not a name that Slurm takes", "Use the name that `sinfo` shows.")


def _require_nodes(request: Request) -> None:
    """Raise CnnError unless the workers fill the nodes as it is said."""
    workers, nodes, each = request.num_workers, request.nodes, request.tasks_per_node
    if nodes is not None and nodes > workers:
        raise CnnError(f"{counted(workers, 'worker')} cannot fill {nodes} nodes", f"Use --nodes {workers} or fewer.")
    if each is None or (workers % each == 0 and nodes in (None, workers // each)):
        return
    on = "" if nodes is None else f" on {counted(nodes, 'node')}"
    message = f"{counted(workers, 'worker')} cannot be placed {each} to a node{on}"
    raise CnnError(message, "Leave out --ntasks-per-node or --nodes.")


def _require_time(text: str | None) -> None:
    """Raise CnnError unless it is a time limit that leaves time to train."""
    if text is None:
        return
    found = _TIME.fullmatch(text)
    if found is None:
        raise CnnError(
            f"--time {text!r} is not a time limit that Slurm takes",
            "Write minutes, hours:minutes:seconds or days-hours:minutes:seconds: --time 01:30:00.",
        )
    days, of_day, minutes_of_day, hours, minutes_of_hour, minutes = (int(part or 0) for part in found.groups())
    total = (days * 24 + of_day + hours) * 60 + minutes_of_day + minutes_of_hour + minutes
    if 0 < total < _SHORTEST_MINUTES:  # Zero is no limit.
        raise CnnError(
            f"--time {text} leaves no time to train: the workers are told to stop two to three minutes before it",
            f"Use at least {_SHORTEST_MINUTES} minutes.",
        )


def script(name: str, command: Sequence[str], request: Request) -> str:
    """Return a script for `sbatch`.

    Args:
        name: The job's name, of letters, digits and _.-
        command: The command of each worker.
        request: What the job asks for, checked.
    """
    srun = ["srun", "--kill-on-bad-exit=1"]
    if request.cpus_per_task is not None:
        # Since Slurm 22.05 the steps of a job do not take this from the job.
        srun.append(f"--cpus-per-task={request.cpus_per_task}")
    requests = "\n".join(f"#SBATCH {line}" for line in _requests(name, request))
    is_array = request.array is not None
    return _SCRIPT.format(
        requests=requests,
        about=_OF_ARRAY if is_array else _OF_WORKERS,
        command=shlex.join([*srun, *command]),
        job=_JOB_OF_ARRAY if is_array else _JOB,
        near=WARNING_SECONDS + 180,
    )


def _requests(name: str, request: Request) -> list[str]:
    options = {
        "job-name": name,
        "array": None if request.array is None else f"0-{request.array - 1}",
        "ntasks": request.num_workers,
        "nodes": request.nodes,
        "ntasks-per-node": request.tasks_per_node,
        "cpus-per-task": request.cpus_per_task,
        "gpus-per-task": request.gpus_per_task,
        "time": request.time,
        "partition": request.partition,
        "account": request.account,
        "output": f"{name}-%j.out" if request.array is None else f"{name}-%A_%a.out",
        "open-mode": "append",
        "signal": f"TERM@{WARNING_SECONDS}",
    }
    return [*(f"--{option}={value}" for option, value in options.items() if value is not None), "--requeue"]
