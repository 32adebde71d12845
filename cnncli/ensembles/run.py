"""The run of an ensemble: a config, weights and a passport of the data, as any run has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.analysis.summary import summarize
from cnncli.config.dump import dump
from cnncli.config.schema.schema import Config
from cnncli.ensembles.members import Member
from cnncli.ensembles.network import ensemble_config, member_nodes, prefix
from cnncli.errors import RunError
from cnncli.report.tables import summary_text
from cnncli.runs import limits
from cnncli.runs.checkpoint import read_manifest
from cnncli.runs.find import evaluated_weights, find_checkpoint
from cnncli.runs.run import LONGEST_NAME, Run, reason

if TYPE_CHECKING:
    from cnncli.runs.arrays import Array

SPLITS = ("test", "validation")
"""Splits that an ensemble may be measured on, the better one first."""


def make_run(members: Sequence[Member], name: str | None, runs_dir: Path) -> Run:
    """Make the run of an ensemble, with the weights of its members' best checkpoints.

    Args:
        members: At least two runs that fit together.
        name: Name of the run; None for one made of the members'.
        runs_dir: Folder of all runs; made when missing.

    Raises:
        CnnError: If a checkpoint is missing or damaged, the examples are needed and cannot be read, or the disk
            refuses.
    """
    config = ensemble_config(members, name or default_name(members), _data(members))
    recipe, arrays = _weights(members)
    passport = _passport(members, config)
    proof = _proof(members[0].run)
    summary = summarize(config)
    record = {
        "seed": config.seed,
        "metrics": config.task_spec.metrics_json(),
        "config_directory": _folder_of_config(members[0].run),
        "total_params": summary.total_params,
        "ensemble": recipe,
    }
    run = Run.create(runs_dir, config.name, dump(config), record)
    with run.lock():
        run.checkpoints.save(0, arrays, {"ensemble": True}, weights=list(arrays), best=True)
        run.write_sealed(run.data_file, passport)
        run.write_text(run.summary_file, summary_text(summary))
        if proof is not None:
            run.write_text(run.proof_file, proof)
        run.update(status="done")
    return run


def default_name(members: Sequence[Member]) -> str:
    """Return what an ensemble is called where nobody says: by its members' name, where all have one."""
    names = {member.run.name for member in members}
    return f"ensemble-{names.pop()}"[:LONGEST_NAME] if len(names) == 1 else "ensemble"


def common_splits(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the splits of `SPLITS` that are the same for all members: none of them was trained on their examples."""
    there = [name for name in SPLITS if members[0].passport.get("num_examples", {}).get(name)]
    if _are_divided_alike(members):
        return tuple(there)
    return tuple(name for name in there if name == "test" and _are_equal(_test_of(member) for member in members))


def _data(members: Sequence[Member]) -> dict[str, Any]:
    """Return the `data` section of an ensemble: what any member was trained on is among its training examples."""
    data = dict(members[0].config.document["data"])
    if not _are_equal(member.config.document["data"].get("augmentation") for member in members):
        data["augmentation"] = []
    if _are_divided_alike(members):
        return data
    data = {key: value for key, value in data.items() if key not in ("folds", "fold")}
    return {**data, "validation": 0, **({} if "test" in common_splits(members) else {"test": 0})}


def _are_divided_alike(members: Sequence[Member]) -> bool:
    """Say whether all members have the same examples in the same splits."""
    return _are_equal(member.passport.get("split_hash") for member in members)


def _test_of(member: Member) -> tuple[Any, ...]:
    """Return what tells whether two runs of the same examples have the same test split: the size and look of it."""
    found = (member.passport.get(key, {}).get("test") for key in ("num_examples", "counts", "looks"))
    return tuple(found)


def _are_equal(values: Any) -> bool:
    return len({json.dumps(value, sort_keys=True) for value in values}) == 1


def _weights(members: Sequence[Member]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return how the ensemble was made, and the arrays of its checkpoint."""
    recipe: list[dict[str, Any]] = []
    arrays: dict[str, Array] = {}
    for number, member in enumerate(members, start=1):
        checkpoint = find_checkpoint(member.run, "best")
        own = {f"model/{node.name}/": f"model/{prefix(number)}{node.name}/" for node in member_nodes(member.config)}
        for name, array in evaluated_weights(checkpoint.arrays).items():
            layer, _, variable = name.rpartition("/")
            if f"{layer}/" in own:
                arrays[own[f"{layer}/"] + variable] = array
        recipe.append(
            {
                "run": member.label,
                "path": str(member.run.path.absolute()),
                "checkpoint": checkpoint.path.name,
                "sha256": read_manifest(checkpoint.path).sha256,
                "weight": member.weight,
            }
        )
    return recipe, arrays


def _passport(members: Sequence[Member], config: Config) -> Mapping[str, Any]:
    """Return the passport of the ensemble's data; where its splits are others than the members', they are read anew."""
    if _are_divided_alike(members):
        return members[0].passport
    from cnncli.datasets import load

    # A relative path is meant from where the member was trained.
    found = config.model_copy(update={"origins": members[0].config.origins})
    return load(found, members[0].passport["classes"]).passport


def _folder_of_config(run: Run) -> str | None:
    """Return the folder from which a relative path of a run's data was meant."""
    record = run.record
    folder: str | None = record.get("config_directory") or record.get("directory")
    return folder


def _proof(run: Run) -> bytes | None:
    """Return the examples that a run keeps for its exports, or None where it keeps none."""
    try:
        return run.read_bytes(run.proof_file, limits.ARRAYS)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(
            f"{run.proof_file} cannot be read: {reason(error)}", "Remove it: then no examples are kept."
        ) from error
