"""How it is judged which keys of a sweep mattered; apart, so that `cnn --help` need not load what a sweep is."""

from __future__ import annotations

from enum import StrEnum


class Method(StrEnum):
    """One of Optuna's evaluators of importance."""

    ped_anova = "ped-anova"
    fanova = "fanova"

    @property
    def full_name(self) -> str:
        """Its name in print."""
        return "PED-ANOVA" if self is Method.ped_anova else "fANOVA"
