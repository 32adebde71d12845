"""Slurm's variables: lists of nodes as `scontrol show hostnames` writes them out, and which task is on which node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cnncli.errors import CnnError
from cnncli.workers import slurm
from cnncli.workers.cluster import parse

HOSTNAMES = {
    # The examples of scontrol(1), slurm.conf(5) and of Slurm's own tests of its lists.
    "tux[1-3]": "tux1 tux2 tux3",
    "tux2,tux1,tux2": "tux2 tux1 tux2",
    "lx[15,18,32-33]": "lx15 lx18 lx32 lx33",
    "linux[0-4,8]": "linux0 linux1 linux2 linux3 linux4 linux8",
    "rack[0-1]_blade[0-2]": "rack0_blade0 rack0_blade1 rack0_blade2 rack1_blade0 rack1_blade1 rack1_blade2",
    "host[1-3],host5": "host1 host2 host3 host5",
    # What scontrol of Slurm 22.05.8 prints of others.
    "n[2,10]": "n2 n10",
    "n[10,2]": "n10 n2",
    "n[1-3,2]": "n1 n2 n3 n2",
    "n10,n[2,1]": "n10 n2 n1",
    "n[001-010,12]": "n001 n002 n003 n004 n005 n006 n007 n008 n009 n010 n12",
    "n[1-010]": "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10",
    "n[00-1]": "n00 n01",
    "n[8-11]": "n8 n9 n10 n11",
    "n[08-11]": "n08 n09 n10 n11",
    "n[098-101]": "n098 n099 n100 n101",
    "n-[1-2,05-06]": "n-1 n-2 n-05 n-06",
    "n[0001]": "n0001",
    "n[123456789012]": "n123456789012",
    "n[1,3-4],m7,n[9-10]": "n1 n3 n4 m7 n9 n10",
    "A[1-2],a[1-2]": "A1 A2 a1 a2",
    "a,b[1-2]x[3-4]": "a b1x3 b1x4 b2x3 b2x4",
    "n[1-2],m[3-4]x[5-6],z": "n1 n2 m3x5 m3x6 m4x5 m4x6 z",
    "a[1-2,4]b[5,7-8]": "a1b5 a1b7 a1b8 a2b5 a2b7 a2b8 a4b5 a4b7 a4b8",
    "n[1-2][3-4]": "n13 n14 n23 n24",
    "node-1-[5-6]": "node-1-5 node-1-6",
    "[1-3]": "1 2 3",
    "10.0.0.[1-3]": "10.0.0.1 10.0.0.2 10.0.0.3",
    "host.example.org": "host.example.org",
    "a1b2c3": "a1b2c3",
    "a,,b,": "a b",
    "r[1-2]c[0-1]n[08-09]": "r1c0n08 r1c0n09 r2c0n08 r2c0n09 r1c1n08 r1c1n09 r2c1n08 r2c1n09",
    "a[1,3-4]b[1-2]c[1-2]": "a1b1c1 a1b1c2 a3b1c1 a3b1c2 a4b1c1 a4b1c2 a1b2c1 a1b2c2 a3b2c1 a3b2c2 a4b2c1 a4b2c2",
    "a[1-2]b[1-2]c[1-2]d[1-2]": "a1b1c1d1 a1b1c1d2 a2b1c1d1 a2b1c1d2 a1b2c1d1 a1b2c1d2 a2b2c1d1 a2b2c1d2 "
    "a1b1c2d1 a1b1c2d2 a2b1c2d1 a2b1c2d2 a1b2c2d1 a1b2c2d2 a2b2c2d1 a2b2c2d2",
}
TASK = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "n[2,10]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "2",
    "SLURMD_NODENAME": "n10",
}
"""What srun sets for the third of four tasks on two nodes."""


@pytest.mark.parametrize("hostlist", HOSTNAMES)
def test_hostlists_are_expanded_as_scontrol_does(hostlist: str) -> None:
    """Order, zero padding and several brackets."""
    assert " ".join(slurm.expand(hostlist)) == HOSTNAMES[hostlist]


@pytest.mark.skipif(shutil.which("scontrol") is None, reason="Slurm is not installed")
def test_scontrol_of_this_machine_agrees(tmp_path: Path) -> None:
    """Where there is a Slurm, its own answers are the table's; it asks no server for them."""
    (tmp_path / "slurm.conf").write_text(
        "ClusterName=test\nSlurmctldHost=localhost\nNodeName=n1\nPartitionName=p Nodes=n1\n"
    )
    environment = {**os.environ, "SLURM_CONF": str(tmp_path / "slurm.conf")}
    for hostlist, hosts in HOSTNAMES.items():
        command = ["scontrol", "show", "hostnames", hostlist]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.split() == hosts.split(), done.stderr


def test_a_suffix_is_kept() -> None:
    """Slurm 22.05 refuses it in a list, so that there it never stands in one; the meaning is clear."""
    assert slurm.expand("n[1-2]-ib,m[08-09].example.org") == ("n1-ib", "n2-ib", "m08.example.org", "m09.example.org")


NO_LISTS = (
    *("", ",", "n[", "n]", "n[]", "n[1", "n1]", "n[a-c]", "n[3-1]", "n[1,,2]", "n[1-]", "n[-1]", "n[[1-2]]", "n[²]"),
    *("n[1-70000]", "n[1-40000],m[1-40000]", "a[1-300]b[1-300]", "n[1-999999999999]"),
)


@pytest.mark.parametrize("hostlist", NO_LISTS)
def test_what_is_no_hostlist_is_refused(hostlist: str) -> None:
    """Also one that would fill the memory."""
    with pytest.raises(CnnError, match="not a list of nodes") as raised:
        slurm.expand(hostlist)
    assert "srun" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2(x3),1", (2, 2, 2, 1)),  # The example of srun(1).
        ("1", (1,)),
        ("4(x1)", (4,)),
        ("1(x2),16,2(x2)", (1, 1, 16, 2, 2)),
    ],
)
def test_tasks_per_node(text: str, expected: tuple[int, ...]) -> None:
    """A number with how many nodes in a row have it."""
    assert slurm.tasks_per_node(text) == expected


@pytest.mark.parametrize("text", ["", "2(x3),", "2x3", "a", "2(3)", "1(x999999999)", "999999999", "-1"])
def test_what_is_no_number_of_tasks_is_refused(text: str) -> None:
    """Also one that would fill the memory."""
    with pytest.raises(CnnError, match="tasks"):
        slurm.tasks_per_node(text)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        ("block", "a a b c"),  # srun(1): "tasks one and two on the first node, task three on the second …"
        ("cyclic", "a b c a"),  # srun(1): "tasks one and four on the first node, task two on the second …"
        ("", "a a b c"),
        ("*", "a a b c"),
        ("block:cyclic", "a a b c"),
        ("cyclic:block", "a b c a"),
        ("block,pack", "a a b c"),
    ],
)
def test_the_examples_of_the_manual(distribution: str, expected: str) -> None:
    """Four tasks on three nodes with two processors each."""
    assert " ".join(slurm.hosts_by_rank(("a", "b", "c"), (2, 1, 1), distribution)) == expected


@pytest.mark.parametrize(("distribution", "expected"), [("cyclic", "n1 n2 n1 n1"), ("block", "n1 n1 n1 n2")])
def test_where_srun_put_them(distribution: str, expected: str) -> None:
    """What four tasks of Slurm 22.05.8 found in SLURMD_NODENAME, with SLURM_STEP_TASKS_PER_NODE 3,1."""
    assert " ".join(slurm.hosts_by_rank(("n1", "n2"), slurm.tasks_per_node("3,1"), distribution)) == expected


def test_cyclic_goes_round_until_each_node_is_full() -> None:
    """Nodes take part in as many rounds as they have tasks, and one without tasks in none."""
    found = slurm.hosts_by_rank(("a", "b", "c", "d"), (1, 3, 0, 2), "cyclic")
    assert found == ("a", "b", "d", "b", "d", "b")


@pytest.mark.parametrize("distribution", ["plane", "plane=4", "arbitrary", "fcyclic"])
def test_another_distribution_is_refused(distribution: str) -> None:
    """The error says which one works."""
    with pytest.raises(CnnError, match="block and cyclic") as raised:
        slurm.hosts_by_rank(("a", "b"), (2, 2), distribution)
    assert raised.value.hint == "Start it with srun --distribution=block."


def test_each_task_of_a_step_is_a_worker() -> None:
    """Hosts by rank, in Slurm's order and not the alphabet's; ports by rank, in the range."""
    cluster = parse("slurm", None, TASK)
    hosts, ports = zip(*(address.rsplit(":", 1) for address in cluster.addresses), strict=True)
    assert hosts == ("n2", "n2", "n10", "n10")
    assert len(set(ports)) == 4
    assert all(20_000 <= int(port) <= 32_767 for port in ports)
    assert (cluster.rank, cluster.is_chief, cluster.num_workers) == (2, False, 4)


def test_all_tasks_agree() -> None:
    """Each of them computes the same addresses."""
    nodes = ("n2", "n2", "n10", "n10")
    tasks = [TASK | {"SLURM_PROCID": str(rank), "SLURMD_NODENAME": node} for rank, node in enumerate(nodes)]
    clusters = [parse("slurm", None, task) for task in tasks]
    assert len({cluster.addresses for cluster in clusters}) == 1
    assert [cluster.rank for cluster in clusters] == [0, 1, 2, 3]


def test_ports_differ_between_jobs_and_steps_that_run_at_once() -> None:
    """A hundred consecutive jobs of 16 workers, or ten steps of 64, take no port twice on one machine."""
    jobs = [slurm.port(job, 0, rank) for job in range(4_000_000, 4_000_100) for rank in range(16)]
    steps = [slurm.port(4711, step, rank) for step in range(10) for rank in range(64)]
    assert len(set(jobs)) == len(jobs)
    assert len(set(steps)) == len(steps)
    assert {20_000 <= port <= 32_767 for port in (*jobs, *steps)} == {True}


@pytest.mark.parametrize("name", [name for name in TASK if name != "SLURMD_NODENAME"])
def test_a_missing_variable_is_named(name: str) -> None:
    """In the batch script itself there is no step, only with srun."""
    environment = {key: value for key, value in TASK.items() if key != name}
    with pytest.raises(CnnError, match=f"{name}, which is not set") as raised:
        parse("slurm", None, environment)
    assert "Start it with srun" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURM_STEP_NUM_TASKS": "8"}, "has 4 tasks, SLURM_STEP_NUM_TASKS 8"),
        ({"SLURM_STEP_NODELIST": "n[1-3]"}, "has 3 nodes, SLURM_STEP_TASKS_PER_NODE 2"),
        ({"SLURM_PROCID": "4"}, "SLURM_PROCID is 4, but there are 4 tasks"),
        ({"SLURM_DISTRIBUTION": "cyclic", "SLURM_PROCID": "1"}, None),
        ({"SLURM_PROCID": "1"}, "task 1 should be on the node n2, but SLURMD_NODENAME is n10"),
        ({"SLURM_PROCID": "-1"}, "SLURM_PROCID is '-1'; expected a whole number"),
        ({"SLURM_JOB_ID": "x"}, "SLURM_JOB_ID is 'x'; expected a whole number"),
        (
            {"SLURM_STEP_NODELIST": "n[1-3]", "SLURM_STEP_TASKS_PER_NODE": "1(x3)", "SLURM_STEP_NUM_TASKS": "3"}
            | {"SLURMD_NODENAME": "n3"},
            "The Slurm step: 3 workers; their number must be a power of two",
        ),
    ],
)
def test_contradictions_are_told(changes: dict[str, str], message: str | None) -> None:
    """A worker that Slurm puts on another node than expected would otherwise wait for ever."""
    if message is None:
        assert parse("slurm", None, TASK | changes).addresses[1].startswith("n10:")
        return
    with pytest.raises(CnnError, match=re.escape(message)):
        parse("slurm", None, TASK | changes)


def test_gpus_are_left_to_slurm() -> None:
    """Reading the cluster changes no variable of the process."""
    before = dict(os.environ)
    parse("slurm", None, TASK | {"CUDA_VISIBLE_DEVICES": "3"})
    assert dict(os.environ) == before


@pytest.mark.parametrize(("count", "expected"), [(None, False), ("", False), ("0", False), ("1", True), ("x", False)])
def test_requeued(count: str | None, expected: bool) -> None:
    """Slurm counts how often it has started a job again."""
    assert slurm.is_requeued({} if count is None else {"SLURM_RESTART_COUNT": count}) is expected


def test_the_name_of_a_step() -> None:
    """It has the cluster where Slurm names one, because every cluster counts its jobs from 1."""
    assert slurm.step_name(TASK) == "4711.0"
    assert slurm.step_name(TASK | {"SLURM_CLUSTER_NAME": "hpc"}) == "hpc/4711.0"
    with pytest.raises(CnnError, match="SLURM_STEP_ID"):
        slurm.step_name({"SLURM_JOB_ID": "1"})
