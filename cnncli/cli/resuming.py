"""What `cnn resume` does, and `cnn train` in a job that Slurm has started again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cnncli.api.training import Training, go_on, take_part
from cnncli.cli.moved import MovedData, override_of, without_path
from cnncli.cli.options import DeviceName, Sets, StopAfter
from cnncli.cli.terminal import TERMINAL
from cnncli.cli.training import finish
from cnncli.cli.workers import Crew, end_of_work

if TYPE_CHECKING:
    from cnncli.runs.run import Run


@dataclass(frozen=True)
class Resumption:
    """How a run is to go on, as the options say it.

    Attributes:
        data: Where its examples are now, or None.
        sets: Values to override.
        device: Where to train.
        as_json: Whether to print JSON.
        stop_after: Number of the epoch after which it stops again, or None.
    """

    data: MovedData = None
    sets: Sets = None
    device: DeviceName = DeviceName.auto
    as_json: bool = False
    stop_after: StopAfter = None

    def to_options(self) -> list[str]:
        """Return the options that say the same."""
        options = ["--device", self.device.value, *(["--json"] if self.as_json else [])]
        options += [] if self.data is None else ["--data", str(self.data)]
        options += [] if self.stop_after is None else ["--stop-after", str(self.stop_after)]
        return options + [argument for text in self.sets or () for argument in ("--set", text)]


def resume_run(run: Run, how: Resumption, crew: Crew) -> None:
    """Go on with a run to its end, and print its result; with the other workers of a crew."""
    moved, overrides = without_path(how.data, how.sets)
    overrides += [] if moved is None else [override_of(moved)]
    finish(go_on(run, overrides, Training(how.device.value, how.stop_after, crew, TERMINAL)), how.as_json)


def work_for_chief(crew: Crew, device: DeviceName) -> NoReturn:
    """Be a worker that has everything from the chief."""
    end_of_work(take_part(None, Training(device.value, peers=crew, around=TERMINAL)))
