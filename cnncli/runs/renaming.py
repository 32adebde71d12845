"""A run gets another name: its folder, and the name in its config and its record."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cnncli.errors import RunError
from cnncli.runs.moving import inside, move, unused
from cnncli.runs.run import Run, reason, require_name

BY = "cnn runs rename"
"""Where origins.json says that the name comes from."""

_NAME_LINE = re.compile(r"^name:.*$", re.MULTILINE)


def rename(run: Run, name: str, runs_dir: Path) -> Run:
    """Move a run to another name's folder, and have its config and its record say that name.

    Training does not depend on the name, so the run can be resumed exactly as before. The folder is moved last, in one
    step: whoever is stopped before can do the same again.

    Args:
        run: The run.
        name: Its new name.
        runs_dir: Folder of all runs.

    Returns:
        The run in its new place.

    Raises:
        RunError: If a process works on it, the name is invalid, or is its own, or has a run of the same start, or a
            file that holds the name cannot be read.
        WriteError: If the disk refuses.
    """
    require_name(name)
    run = inside(run, runs_dir)
    target = runs_dir / name / run.id
    if run.name == name:
        raise RunError(f"{run.path} has the name {name!r} already")
    if os.path.lexists(target):
        raise RunError(f"{target} is there already", "Rename that one first, or take another name.")
    with unused(run):
        config, origins = _config_with_name(run, name), run.origins()
        run.update(name=name)
        if config is not None:
            run.write_text(run.config_file, config)
        if "name" in origins:
            run.write_json(run.origins_file, {**origins, "name": BY})
        return move(run, target)


def _config_with_name(run: Run, name: str) -> str | None:
    """Return config.yaml with another name and all else as it is, or None where it has no name, or is not there."""
    from cnncli.config.dump import scalar
    from cnncli.config.yaml.parser import MAX_BYTES, parse
    from cnncli.config.yaml.tree import plain

    try:
        text = run.read_bytes(run.config_file, MAX_BYTES).decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{run.config_file} cannot be read: {reason(error)}") from error
    before = plain(parse(text, str(run.config_file)))
    if not isinstance(before, dict) or "name" not in before:
        return None
    changed = _NAME_LINE.sub(f"name: {scalar(name)}", text, count=1)
    if plain(parse(changed, str(run.config_file))) != {**before, "name": name}:
        raise RunError(
            f"{run.config_file} has its name in a form that is not known", f"Write it as a line: name: {run.name}"
        )
    return changed
