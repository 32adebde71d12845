"""Where a key in the wrong section belongs."""

from __future__ import annotations

from functools import lru_cache

from cnncli.config.schema.optimizers import OPTIMIZERS
from cnncli.config.schema.schedules import SCHEDULES
from cnncli.config.schema.schema import Checkpoint, Data, EarlyStopping, Loss, Model, Resize, Section, Train

_SECTIONS: dict[str, type[Section]] = {
    "data": Data,
    "data.resize": Resize,
    "model": Model,
    "train": Train,
    "train.loss": Loss,
    "train.early_stopping": EarlyStopping,
    "train.checkpoint": Checkpoint,
}


@lru_cache(maxsize=8)
def misplaced_keys(section: str) -> dict[str, str]:
    """Return where every key belongs that is not in `section`: "epochs" → "train"."""
    owners: dict[str, str] = {}
    for name, schedule in SCHEDULES.items():
        owners |= dict.fromkeys(schedule.model_fields, f"train.schedule, as in `schedule: {{{name}: {{…}}}}`")
    for name, optimizer in OPTIMIZERS.items():
        owners |= dict.fromkeys(optimizer.model_fields, f"train.optimizer, as in `optimizer: {{{name}: {{…}}}}`")
    owners |= dict.fromkeys(("learning_rate", "weight_decay"), "train.optimizer, as in `optimizer: {Adam: {…}}`")
    for path, kind in reversed(_SECTIONS.items()):
        owners |= dict.fromkeys(kind.model_fields, path)
    return {key: home for key, home in owners.items() if home != section}
