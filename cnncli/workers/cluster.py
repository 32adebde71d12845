"""Who trains a run together: the workers' addresses, and which of them this process is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from cnncli.errors import CnnError
from cnncli.plural import counted
from cnncli.workers import slurm, tf_config

_FORMS = 'Give "slurm", "tf_config", or an address for each worker: --cluster node1:2222,node2:2222 --rank 0.'
_POWER = "Start 1, 2, 4, 8, … workers: gradients are added in pairs."

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class Cluster:
    """The workers of a run, and this process's place among them.

    Attributes:
        addresses: "host:port" of each worker, by rank; an IPv6 address stands in brackets.
        rank: Which of them this process is, from 0.
    """

    addresses: tuple[str, ...]
    rank: int

    @property
    def num_workers(self) -> int:
        """How many processes there are."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this process owns the run's directory and prints the results."""
        return self.rank == 0

    @property
    def address(self) -> str:
        """Where this process listens."""
        return self.addresses[self.rank]


def parse(text: str, rank: int | None, environment: Mapping[str, str]) -> Cluster:
    """Return the cluster that `--cluster` and `--rank` mean.

    Args:
        text: "slurm", "tf_config", or "host:port,host:port,…".
        rank: Which of the addresses is this process's; None for the other two, which say it themselves.
        environment: The environment variables, `os.environ`.

    Raises:
        CnnError: If the text or the environment is not a cluster of 1, 2, 4, 8, … workers.
    """
    if text in ("slurm", "tf_config"):
        if rank is not None:
            raise CnnError(f"--rank {rank} was given with --cluster {text}, which says it itself", "Leave --rank out.")
        if text == "slurm":
            return make(*slurm.workers(environment), "The Slurm step", slurm.WITH_SRUN)
        return make(*tf_config.workers(environment), tf_config.NAME, tf_config.FORM)
    cluster = make(text.split(","), rank or 0, "--cluster", _FORMS)
    if rank is None:
        raise CnnError(
            f'--cluster "{text}" does not say which of the workers this process is',
            "Add --rank: 0 for the first address, 1 for the second, and so on.",
        )
    return cluster


def make(addresses: Sequence[str], rank: int, source: str, hint: str) -> Cluster:
    """Return a cluster whose addresses and rank have been checked.

    Args:
        addresses: "host:port" of each worker, by rank.
        rank: Which of them this process is, from 0.
        source: Where they were read, for messages.
        hint: How they are written there.

    Raises:
        CnnError: If an address is none or there twice, the rank is none of theirs, or they are no power of two.
    """
    checked = tuple(_address(text.strip(), source, hint) for text in addresses)
    require_power_of_two(len(checked), source)
    seen: dict[str, int] = {}
    for index, address in enumerate(checked):
        first = seen.setdefault(address.lower(), index)
        if first != index:
            raise CnnError(
                f"{source} has the address {address} for worker {first} and for worker {index}",
                "Give each worker a port of its own, also where several run on one machine.",
            )
    if not 0 <= rank < len(checked):
        raise CnnError(
            f"{source} has {len(checked)} workers, so ranks go from 0 to {len(checked) - 1}; got rank {rank}",
            "Start each worker once, with a rank of its own.",
        )
    return Cluster(checked, rank)


def require_shards(num_workers: int, shards: int) -> None:
    """Raise CnnError unless every worker has a shard of each batch.

    Args:
        num_workers: How many workers there are.
        shards: Of a batch: `train.shards`.
    """
    if shards < num_workers:
        raise CnnError(
            f"{num_workers} workers cannot share batches of {counted(shards, 'shard')}: each takes one or more",
            f"Add --set train.shards={num_workers} for a new run; a run keeps its shards, whatever trains it.",
        )


def require_power_of_two(num_workers: int, source: str) -> None:
    """Raise CnnError unless there are 1, 2, 4, 8, … workers.

    Args:
        num_workers: How many there are.
        source: Where that was read, for the message.
    """
    if num_workers < 1 or num_workers & (num_workers - 1):
        raise CnnError(f"{source}: {counted(num_workers, 'worker')}; their number must be a power of two", _POWER)


def _address(text: str, source: str, hint: str) -> str:
    """Return "host:port" in one way of writing it."""
    host, colon, port = text.rpartition(":")
    if not colon or host.count("[") > host.count("]"):
        raise CnnError(f'{source}: "{text}" has no port; an address is HOST:PORT', hint)
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise CnnError(f'{source}: the port of "{text}" is not a number from 1 to 65535', hint)
    return f"{_host(host, text, source, hint)}:{int(port)}"


def _host(host: str, text: str, source: str, hint: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            raise CnnError(f'{source}: "{host}" is not an IPv6 address', hint) from None
    if ":" in host:
        raise CnnError(
            f'{source}: "{text}" has several colons; an address is HOST:PORT',
            "An IPv6 address stands in brackets: [::1]:2222.",
        )
    if not _HOST.fullmatch(host):
        raise CnnError(f'{source}: "{text}" has no host; an address is HOST:PORT', hint)
    return host
