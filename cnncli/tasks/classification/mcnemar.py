"""McNemar's test: do two classifiers differ, given their predictions for the same examples?"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from cnncli.errors import RunError
from cnncli.files.characters import from_csv_cell
from cnncli.files.read import open_text
from cnncli.report.numbers import full
from cnncli.runs import limits
from cnncli.tasks.classification.columns import PREDICTED, TRUE
from cnncli.tasks.examples import below_shared_folder


@dataclass(frozen=True)
class Outcomes:
    """Which examples a run classified correctly.

    Attributes:
        examples: The examples' files below the folder that all lie in, or indices, and their true classes.
        right: Whether each was classified correctly.
    """

    examples: tuple[tuple[str, str], ...]
    right: tuple[bool, ...]


@dataclass(frozen=True)
class McNemar:
    """The test of two runs on the same examples.

    Attributes:
        only_first: Number of examples that only the first run got right.
        only_second: Number of examples that only the second got right.
        p_value: Chance of a split at least so uneven if both were equally good, two-sided.
    """

    name: ClassVar[str] = "mcnemar"
    title: ClassVar[str] = "McNemar"
    remark: ClassVar[str] = "p is exact and two-sided"

    only_first: int
    only_second: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def cells(self) -> dict[str, str]:
        """Return a row of a table."""
        return {
            "only 1st right": full(self.only_first),
            "only 2nd right": full(self.only_second),
            "p": f"{self.p_value:.2g}",
        }


def read_outcomes(path: Path) -> Outcomes | None:
    """Read a predictions CSV with the columns "true" and "predicted" and the example in its first; None without one.

    Raises:
        RunError: If the file is there but has other columns.
    """
    try:
        with open_text(path, limits.PREDICTIONS, follow=False) as file:
            header, *lines = csv.reader(file)
            true, predicted = header.index(TRUE), header.index(PREDICTED)
            rows = [tuple(from_csv_cell(line[column]) for column in (0, true, predicted)) for line in lines]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", "`cnn eval` writes it again.") from error
    except (ValueError, IndexError, csv.Error) as error:
        expected = f'a header with the columns "{TRUE}" and "{PREDICTED}", and as many values in each line'
        raise RunError(f"{path} cannot be read: expected {expected}", "`cnn eval` writes it again.") from error
    examples = below_shared_folder([example for example, _, _ in rows])
    rows = sorted((example, true, predicted) for example, (_, true, predicted) in zip(examples, rows, strict=True))
    return Outcomes(tuple((example, true) for example, true, _ in rows), tuple(t == p for _, t, p in rows))


def mcnemar(first: Outcomes, second: Outcomes) -> McNemar | None:
    """Compare two runs' predictions; None if they are not for the same examples."""
    if first.examples != second.examples:
        return None
    pairs = list(zip(first.right, second.right, strict=True))
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    return McNemar(only_first, only_second, exact_p_value(only_first, only_second))


def exact_p_value(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value: a fair coin's, thrown once for each example on which the two differ.

    The usual chi-square is an approximation of this for many examples; whole numbers need none.

    Reference: McNemar, Psychometrika 12 (2), 1947.
    """
    thrown = only_first + only_second
    ways, total = 1, 0
    for heads in range(min(only_first, only_second) + 1):
        total += ways
        ways = ways * (thrown - heads) // (heads + 1)
    return min(1.0, 2 * total / (1 << thrown))
