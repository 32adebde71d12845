"""`cnn train --cluster slurm` under a real Slurm, four nodes of which are this machine.

    python tests/faults/slurm_campaign.py [--only "srun, 2 tasks" "out of time" …]

Needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root: the names of the nodes are added to
/etc/hosts, as a cluster's DNS would have them. A scratch container is the place for it.

Trained are: 2 and 4 tasks by `srun`; a batch script of `cnn slurm` that `scontrol requeue` throws out in the middle;
one whose time limit comes (SIGTERM two minutes before) and that queues itself again. In the end the arrays, the metrics
and the counters of each are compared with those of one process without Slurm.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training_process import differences

NODES = 4
CONTROLLER_PORT, FIRST_PORT = 16817, 17001
CNN = (sys.executable, "-m", "cnncli")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Run a controller and four nodes while a block runs; yield the environment of their commands."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        (folder / "state").mkdir()
        text = CONF.format(
            host=socket.gethostname(),
            folder=folder,
            controller=CONTROLLER_PORT,
            nodes=NODES,
            first=FIRST_PORT,
            last=FIRST_PORT + NODES - 1,
        )
        conf = folder / "slurm.conf"
        conf.write_text(text, encoding="utf-8")
        know_nodes()
        start_munge()
        environment = {**os.environ, "SLURM_CONF": str(conf)}
        daemons = [["slurmctld", "-D", "-f", str(conf)]]
        daemons += [["slurmd", "-D", "-N", f"n{number}", "-f", str(conf)] for number in range(1, NODES + 1)]
        running = [subprocess.Popen(each, env=environment, stderr=subprocess.DEVNULL) for each in daemons]
        try:
            wait_for(lambda: said(["sinfo", "-h", "-o", "%T %D"], environment) == f"idle {NODES}", 60)
            yield environment
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def know_nodes() -> None:
    """Let the names of the nodes lead to this machine."""
    hosts = Path("/etc/hosts")
    line = "127.0.0.1 " + " ".join(f"n{number}" for number in range(1, NODES + 1))
    if line not in hosts.read_text(encoding="utf-8"):
        with hosts.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def start_munge() -> None:
    """Start the daemon that Slurm's commands prove themselves to, where it does not run."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge")
        subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "munged"], check=True)


def said(command: list[str], environment: dict[str, str]) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def wait_for(is_so: object, seconds: float) -> None:
    """Wait until a function returns something true."""
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.5)


def options(epochs: int) -> list[str]:
    """Return the config that all train."""
    return ["digits_lenet", "--set", "train.shards=8", "--set", f"train.epochs={epochs}"]


def the_run(runs_dir: Path) -> Path:
    """Return the one run of a folder."""
    (run,) = runs_dir.glob("*/2*")
    return run


def by_srun(tasks: int, folder: Path, environment: dict[str, str]) -> Path:
    """Train with a task on each of some nodes."""
    command = ["srun", f"-N{tasks}", f"-n{tasks}", "--kill-on-bad-exit=1", *CNN, "train", *options(4)]
    subprocess.run(
        [*command, "--cluster", "slurm", "--runs-dir", str(folder)], env=environment, capture_output=True, check=True
    )
    return the_run(folder)


def submitted(folder: Path, environment: dict[str, str], epochs: int, *more: str) -> str:
    """Submit the script of `cnn slurm`; return the job's number."""
    folder.mkdir()
    made = [*CNN, "slurm", *options(epochs), "--workers", "2", "--nodes", "2", "--runs-dir", str(folder), *more]
    text = subprocess.run(made, capture_output=True, text=True, check=True).stdout
    script = folder.with_suffix(".sh")
    # The nodes' path need not have the command.
    script.write_text(text.replace(" cnn train ", f" {' '.join(CNN)} train "), encoding="utf-8")
    output = f"--output={folder}.out"
    return said(["sbatch", "--parsable", output, str(script)], environment)


def wait_for_epochs(folder: Path, number: int) -> None:
    """Wait until a run has trained some epochs."""
    wait_for(lambda: any(len(p.read_text().splitlines()) >= number for p in folder.glob("*/2*/metrics.jsonl")), 180)


def wait_for_end(job: str, folder: Path, environment: dict[str, str]) -> Path:
    """Wait until a job, and what it queues again, is done."""
    wait_for(
        lambda: (
            not said(["squeue", "-h", "-j", job, "-t", "all", "-o", "%T"], environment).startswith(
                ("PENDING", "RUNNING", "COMPLETING", "REQUEUED")
            )
        ),
        1200,
    )
    return the_run(folder)


def requeued(folder: Path, environment: dict[str, str]) -> Path:
    """Throw a job out in the middle of its training; it comes back after some two minutes."""
    job = submitted(folder, environment, 120)
    wait_for_epochs(folder, 5)
    subprocess.run(["scontrol", "requeue", job], env=environment, check=True)
    return wait_for_end(job, folder, environment)


def out_of_time(folder: Path, environment: dict[str, str]) -> Path:
    """Let a job reach its time limit before it is done: the workers hear SIGTERM, and it queues itself again."""
    job = submitted(folder, environment, 400, "--time", "4")
    return wait_for_end(job, folder, environment)


def main() -> int:
    """Train in all these ways, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="ways to train, as they are printed")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="cnn-slurm-") as name, slurm() as environment:
        folder, wrong = Path(name), 0
        ways = {
            "srun, 2 tasks": (4, lambda place: by_srun(2, place, environment)),
            "srun, 4 tasks": (4, lambda place: by_srun(4, place, environment)),
            "requeued in the middle": (120, lambda place: requeued(place, environment)),
            "out of time": (400, lambda place: out_of_time(place, environment)),
        }
        for number, (way, (epochs, train)) in enumerate(ways.items()):
            if only is not None and way not in only:
                continue
            begun = time.monotonic()
            run = train(folder / f"slurm-{number}")
            alone = folder / f"alone-{number}"
            subprocess.run([*CNN, "train", *options(epochs), "--runs-dir", str(alone)], capture_output=True, check=True)
            differ = differences(the_run(alone), run)
            wrong += bool(differ)
            print(f"{way}: {'; '.join(differ) or 'the same bits'}, {time.monotonic() - begun:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
