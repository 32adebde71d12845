"""Who the workers are: addresses by hand and TF_CONFIG, and the errors where they cannot be."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cnncli.errors import CnnError
from cnncli.workers.cluster import Cluster, parse

TWO = "node1:2222,node2:2222"


def tf_config(cluster: Any, task: Any) -> dict[str, str]:
    """Return an environment with this TF_CONFIG."""
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def worker(index: Any, *addresses: str) -> dict[str, str]:
    """Return the environment of one of the workers at these addresses."""
    return tf_config({"worker": list(addresses)}, {"type": "worker", "index": index})


def test_addresses_by_hand() -> None:
    """The order is that of the ranks; rank 0 is the chief."""
    cluster = parse(TWO, 1, {})
    assert cluster == Cluster(("node1:2222", "node2:2222"), 1)
    assert (cluster.num_workers, cluster.is_chief, cluster.address) == (2, False, "node2:2222")
    assert parse(TWO, 0, {}).is_chief


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("localhost:1", ("localhost:1",)),
        (" a:1 , b.example.org:65535 ", ("a:1", "b.example.org:65535")),
        ("[::1]:2222,[fe80:0::2]:02223", ("[::1]:2222", "[fe80::2]:2223")),
        ("10.0.0.1:2222,10.0.0.1:2223", ("10.0.0.1:2222", "10.0.0.1:2223")),
    ],
)
def test_forms_of_addresses(text: str, addresses: tuple[str, ...]) -> None:
    """One way of writing each, as all workers must have the same."""
    assert parse(text, 0, {}).addresses == addresses


@pytest.mark.parametrize(
    ("text", "rank", "message"),
    [
        (TWO, None, f'--cluster "{TWO}" does not say which of the workers this process is'),
        (TWO, 2, "--cluster has 2 workers, so ranks go from 0 to 1; got rank 2"),
        (TWO, -1, "--cluster has 2 workers, so ranks go from 0 to 1; got rank -1"),
        ("a:1,b:1,c:1", 0, "--cluster: 3 workers; their number must be a power of two"),
        ("a:1,A:01", 0, "--cluster has the address A:1 for worker 0 and for worker 1"),
        ("[::1]:1,[0::1]:1", 0, "--cluster has the address [::1]:1 for worker 0 and for worker 1"),
        ("a:1,b", 0, '--cluster: "b" has no port; an address is HOST:PORT'),
        ("a:1,[::1]", 0, '--cluster: "[::1]" has no port; an address is HOST:PORT'),
        ("a:1,", 0, '--cluster: "" has no port; an address is HOST:PORT'),
        ("", 0, '--cluster: "" has no port; an address is HOST:PORT'),
        ("slrum", None, '--cluster: "slrum" has no port; an address is HOST:PORT'),
        ("a:", 0, '--cluster: the port of "a:" is not a number from 1 to 65535'),
        ("a:0", 0, '--cluster: the port of "a:0" is not a number from 1 to 65535'),
        ("a:65536", 0, '--cluster: the port of "a:65536" is not a number from 1 to 65535'),
        ("a:http", 0, '--cluster: the port of "a:http" is not a number from 1 to 65535'),
        ("a:²", 0, '--cluster: the port of "a:²" is not a number from 1 to 65535'),
        ("::1:2222", 0, '--cluster: "::1:2222" has several colons; an address is HOST:PORT'),
        ("[::g]:1", 0, '--cluster: "[::g]" is not an IPv6 address'),
        (":2222", 0, '--cluster: ":2222" has no host; an address is HOST:PORT'),
        ("a b:2222", 0, '--cluster: "a b:2222" has no host; an address is HOST:PORT'),
        ("http://a:80", 0, '--cluster: "http://a:80" has several colons; an address is HOST:PORT'),
        ("slurm", 0, "--rank 0 was given with --cluster slurm, which says it itself"),
        ("tf_config", 1, "--rank 1 was given with --cluster tf_config, which says it itself"),
    ],
)
def test_what_is_no_cluster_is_refused(text: str, rank: int | None, message: str) -> None:
    """What was read and what was expected, and beside it what to do."""
    with pytest.raises(CnnError, match=f"^{re.escape(message)}$") as raised:
        parse(text, rank, {})
    assert raised.value.hint
    assert raised.value.exit_code == 1


def test_an_address_with_several_colons_is_told_of_brackets() -> None:
    """An IPv6 address with a port is ambiguous without them."""
    with pytest.raises(CnnError) as raised:
        parse("::1:2222", 0, {})
    assert raised.value.hint == "An IPv6 address stands in brackets: [::1]:2222."


def test_tf_config_as_tensorflow_documents_it() -> None:
    """The example of `tf.distribute.cluster_resolver.TFConfigClusterResolver`, with a port each."""
    found = parse("tf_config", None, worker(1, "localhost:12345", "localhost:23456"))
    assert found == Cluster(("localhost:12345", "localhost:23456"), 1)


def test_a_chief_comes_before_the_workers() -> None:
    """It is rank 0, as TensorFlow has it; every task finds its own address at its rank."""
    cluster = {"chief": ["c:1"], "worker": ["a:1", "b:1", "d:1"]}
    for kind, index in (("chief", 0), ("worker", 0), ("worker", 2)):
        found = parse("tf_config", None, tf_config(cluster, {"type": kind, "index": index}))
        assert found.addresses == ("c:1", "a:1", "b:1", "d:1")
        assert found.address == cluster[kind][index]


def test_tf_config_takes_an_index_as_text() -> None:
    """Templates that put quotes around each value are common, and TensorFlow converts it as well."""
    assert parse("tf_config", None, worker("1", "a:1", "b:1")).rank == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "--cluster tf_config reads the environment variable TF_CONFIG, which is not set"),
        ({"TF_CONFIG": "  "}, "--cluster tf_config reads the environment variable TF_CONFIG, which is not set"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG: cluster is missing; expected an object"),
        (tf_config(["a:1"], {}), 'TF_CONFIG: cluster is ["a:1"]; expected an object'),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "TF_CONFIG: task is missing; expected an object"),
        (worker(2, "a:1", "b:1"), "TF_CONFIG: task.index is 2; expected the place of this worker in cluster.worker"),
        (worker(True, "a:1", "b:1"), "TF_CONFIG: task.index is true; expected the place of this worker"),
        (worker(None, "a:1", "b:1"), "TF_CONFIG: task.index is missing; expected the place of this worker"),
        (worker("9" * 5000, "a:1", "b:1"), 'TF_CONFIG: task.index is "999'),
        (worker("-1", "a:1", "b:1"), 'TF_CONFIG: task.index is "-1"; expected the place of this worker'),
        (worker(0), "TF_CONFIG: task.index is 0; expected the place of this worker"),
        (worker(0, "a:1", "b"), 'TF_CONFIG: "b" has no port; an address is HOST:PORT'),
        (worker(0, "a:1", "b:1", "c:1"), "TF_CONFIG: 3 workers; their number must be a power of two"),
        (
            tf_config({"worker": {"0": "a:1"}}, {"type": "worker", "index": 0}),
            'TF_CONFIG: cluster.worker is {"0": "a:1"}; expected a list of addresses',
        ),
        (
            tf_config({"chief": ["a:1", "b:1"]}, {"type": "chief", "index": 0}),
            'TF_CONFIG: cluster.chief is ["a:1", "b:1"]; expected one address',
        ),
        (
            tf_config({"worker": ["a:1"], "ps": ["b:1"]}, {"type": "worker", "index": 0}),
            'TF_CONFIG names a task of the type "ps"; only chief and worker are known: every worker holds',
        ),
        (
            tf_config({"worker": ["a:1"]}, {"type": "evaluator", "index": 0}),
            'TF_CONFIG names a task of the type "evaluator"; only chief and worker are known: the first worker',
        ),
        (
            tf_config({"worker": ["a:1"]}, {"index": 0}),
            "TF_CONFIG: task.type is missing; expected chief or worker",
        ),
    ],
)
def test_a_wrong_tf_config_is_told(environment: dict[str, str], message: str) -> None:
    """What was read at which place, and what was expected."""
    with pytest.raises(CnnError, match=f"^{re.escape(message)}") as raised:
        parse("tf_config", None, environment)
    assert raised.value.hint


@pytest.mark.parametrize("text", ["{", "not json", '{"cluster": NaN', "[" * 100_000, "'{}'"])
def test_malformed_json_is_a_known_error(text: str) -> None:
    """Also one that is nested without end."""
    with pytest.raises(CnnError, match=r"^TF_CONFIG is not JSON: "):
        parse("tf_config", None, {"TF_CONFIG": text})
