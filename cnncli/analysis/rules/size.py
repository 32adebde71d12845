"""Rules about size: where the parameters are, and whether training fits the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cnncli.analysis.memory import memory
from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.layers.dense import Dense
from cnncli.layers.graph import INPUT
from cnncli.layers.reshaping import Flatten

MANY = 100_000
"""Parameters below which no one minds where they are."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def parameters_are_spread(network: CheckedNetwork) -> Iterator[Finding]:
    """A dense layer on a flattened image soon holds most of the parameters."""
    counts = [step.node.layer.num_params(step.input_shape) for step in network.steps]
    total = sum(counts)
    for step, count in zip(network.steps, counts, strict=True):
        large = count >= MANY and 2 * count > total
        if large and isinstance(step.node.layer, Dense) and _is_flattened(network, step.node.inputs[0]):
            yield Finding(
                "W309",
                step.node.path,
                f"{step.node.name} on {step.input_shape[0]:,} flattened values has {count:,} of the network's "
                f"{total:,} parameters ({100 * count / total:.0f} %).",
                "Use GlobalAveragePooling2D instead of Flatten, another pooling before it, or fewer units.",
            )


def _is_flattened(network: CheckedNetwork, index: int) -> bool:
    while index != INPUT and network.steps[index].node.layer.is_random_in_training:
        index = network.steps[index].node.inputs[0]
    return index != INPUT and isinstance(network.steps[index].node.layer, Flatten)


def training_fits_the_machine(network: CheckedNetwork) -> Iterator[Finding]:
    """Training must fit into the memory that there is."""
    available = machine_memory()
    need = memory(network.config, network.steps)
    if available is not None and need.training > available:
        whole = ", the whole training split" if need.batch_size < network.config.train.batch_size else ""
        yield Finding(
            "W314",
            "train.batch_size",
            f"Training takes about {need.training / 1e9:,.1f} GB at batch size {need.batch_size:,}{whole}; "
            f"this machine has {available / 1e9:,.1f} GB.",
            "Use a smaller batch size, a smaller image, or precision: mixed_bfloat16.",
        )


def machine_memory() -> int | None:
    """Return the bytes of memory that this process may use, or None where the system does not tell."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return min([physical, *_limits()])


def _limits() -> Iterator[int]:
    for name in _CGROUP_LIMITS:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            yield int(text)


RULES = (parameters_are_spread, training_fits_the_machine)
