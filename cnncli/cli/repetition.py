"""Training a config several times: the options of `cnn train` that say so, and the runs that they mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.errors import CnnError

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.runs.group import Member

Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds", metavar="N|LIST", help="Train a run for each of N seeds from the config's on, or of a list: 3,7,11."
    ),
]


Folds = Annotated[
    int | None, typer.Option("--folds", min=2, metavar="K", help="Cross-validate: train a run for each of K folds.")
]


GroupId = Annotated[
    str | None,
    typer.Option("--group", metavar="ID", help="With --seeds or --folds: go on with the runs of a stopped command."),
]


@dataclass(frozen=True)
class Repetition:
    """What the options of a command say of several runs.

    Attributes:
        seeds: Text of --seeds: a number of seeds or a list of them; None for the config's seed alone.
        folds: Number of folds; None where each run has the config's own validation split.
        group: The group to go on with; None for a new one.
    """

    seeds: str | None
    folds: int | None
    group: str | None

    @classmethod
    def of(cls, seeds: str | None, folds: int | None, group: str | None, refused: Mapping[str, bool]) -> Repetition:
        """Return what the options say.

        Args:
            seeds: That of --seeds.
            folds: That of --folds.
            group: That of --group.
            refused: Options that do not go with several runs, and whether they were given.

        Raises:
            CnnError: If the options do not fit together.
        """
        if seeds is None and folds is None:
            if group is not None:
                raise typer.BadParameter("--group needs --seeds or --folds: the runs that the group is to have")
            return cls(None, None, None)
        for option, is_given in refused.items():
            if is_given:
                raise typer.BadParameter(f"{option} is for one run: leave out --seeds and --folds")
        if os.name == "nt":
            raise CnnError("--seeds and --folds need a system whose processes inherit pipes, which Windows does not")
        return cls(seeds, folds, group)

    @property
    def is_asked(self) -> bool:
        """Whether several runs are asked for."""
        return self.seeds is not None or self.folds is not None

    def members(self, config: Config) -> tuple[Member, ...]:
        """Return what each run has of its own.

        Raises:
            CnnError: If the seeds are no seeds, or the folds are not those of the config.
        """
        from cnncli.runs.group import Member, members

        own = config.data.folds
        if self.folds is not None and own not in (None, self.folds):
            raise typer.BadParameter(f"--folds is {self.folds}, but data.folds of the config is {own}")
        if self.folds is None and own is not None and config.data.fold is None:
            raise typer.BadParameter(f"data.folds is {own}, but no fold is chosen: add --folds {own}, or --fold 1")
        seeds = self._seeds(config.seed)
        if self.folds is None:
            return tuple(Member(seed, config.data.fold, own if config.data.fold else None) for seed in seeds)
        return members(seeds, self.folds)

    def _seeds(self, first: int) -> tuple[int, ...]:
        texts = ["1"] if self.seeds is None else [text.strip() for text in self.seeds.split(",")]
        if not all(text.isascii() and text.isdigit() and len(text) <= len(str(2**31)) for text in texts):
            raise typer.BadParameter(f'--seeds is "{self.seeds}"; it takes a number of seeds, 5, or a list, 3,7,11')
        seeds = tuple(map(int, texts)) if len(texts) > 1 else tuple(range(first, first + int(texts[0])))
        if not seeds:
            raise typer.BadParameter("--seeds is 0; it takes a number of seeds from 1 on")
        if len(set(seeds)) < len(seeds):
            raise typer.BadParameter(f'--seeds is "{self.seeds}", which has a seed twice')
        return seeds
