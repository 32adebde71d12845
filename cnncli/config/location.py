"""Where the examples of a config lie now: they, the config or its run may have moved."""

from __future__ import annotations

from pathlib import Path

from cnncli.config.schema.schema import Config, Data
from cnncli.errors import DataError, Problem

WITHOUT_PATH = ("digits", "digit_scenes", "digit_boxes", "tfds")
"""Sources that no path of the disk leads to."""

GIVE = "Give the path where they are now: --data PATH, or --set data.path=PATH where a command has no --data."


def located(config: Config) -> Data:
    """Return a config's `data` section with the path at which the examples are.

    A relative path is meant from the working folder, else from the folder of the config, else from where the run was
    trained: the first at which there is something.

    Raises:
        DataError: If there is nothing at any of them.
    """
    data = config.data
    if data.path is None or data.source in WITHOUT_PATH:
        return data
    path = Path(data.path).expanduser()
    if path.exists():
        return data
    folders = config.origins.folders("data.path")
    for candidate in (folder / path for folder in folders):
        if candidate.exists():
            return data.model_copy(update={"path": str(candidate)})
    looked = () if path.is_absolute() or not folders else (Path.cwd(), *folders)
    searched = f" Searched: {', '.join(map(str, dict.fromkeys(looked)))}." if looked else ""
    if config.origins.trained_in:
        raise DataError(f"the run's examples are missing: {path} does not exist", f"{GIVE}{searched}")
    raise DataError(f"{path} does not exist", f"Set data.path to the data.{searched}")


def not_found(config: Config) -> tuple[Problem, ...]:
    """Return a warning where there is nothing at the path of a config's examples, and none where there is.

    No error: a config may be checked on another machine than it is trained on.
    """
    try:
        located(config)
    except DataError as error:
        message = f"There are no examples on this machine: {error.message}."
        return (config.origins.problem("W411", message, "data.path", error.hint),)
    return ()


def moved(config: Config, path: Path) -> Config:
    """Return a config whose examples lie at another path.

    Raises:
        DataError: If its examples are not at any path.
    """
    if config.data.source in WITHOUT_PATH:
        raise DataError(f"the examples of the source {config.data.source} are at no path", "Leave out --data.")
    data = config.data.model_copy(update={"path": str(path.expanduser().absolute())})
    return config.model_copy(update={"data": data})
