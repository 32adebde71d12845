"""What the examples are: sources, splits, class order, passport."""

from cnncli.datasets.load import load
from cnncli.datasets.splits import Split, Splits

__all__ = ["Split", "Splits", "load"]
