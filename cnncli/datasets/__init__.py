"""What the examples are: sources, splits, class order, passport."""

from cnncli.datasets.load import Incoming, incoming, inspect, load, own, recognized
from cnncli.datasets.splits import Split, Splits

__all__ = ["Incoming", "Split", "Splits", "incoming", "inspect", "load", "own", "recognized"]
