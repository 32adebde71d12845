"""Boxes that cannot be used as they are: which, why, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncli.plural import counted

FLIPPED, OUTSIDE = "flipped", "outside"
"""Kinds of bad boxes from which a wrong order of their numbers is recognised."""

_EXAMPLES = 20
_MANY = 0.5
"""Share of all objects from which on the same mistake is one in the form of all boxes."""

_ADVICE = {
    FLIPPED: "Most boxes end before they begin: are their numbers x, y, width and height?",
    OUTSIDE: "Most boxes reach outside their image: are their numbers other ones, or of an image of another size?",
}


class BadBox(NamedTuple):
    """An object whose box or class cannot be used as it is.

    Attributes:
        file: The file that says it.
        split: The split of its image.
        label: What it is called there: "object 4 (RBC)", "line 2".
        reason: The values that were read, and what is wrong with them.
        kind: `FLIPPED`, `OUTSIDE`, or "" for everything else.
        is_clipped: Whether it is kept, cut off at the image's edges; otherwise it is left out.
    """

    file: str
    split: str
    label: str
    reason: str
    kind: str = ""
    is_clipped: bool = False

    def to_text(self) -> str:
        """Return a line of an error."""
        return f"{self.file}: {self.label}: {self.reason}"


@dataclass(frozen=True)
class BadBoxes:
    """All bad boxes of a source.

    Attributes:
        boxes: Each of them, by file.
        num_objects: Number of all objects of the source, good and bad.
        form: What the four numbers of a box are in this source, in a sentence.
    """

    boxes: Sequence[BadBox]
    num_objects: int
    form: str

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def advice(self) -> str:
        """Return what most boxes have in common that is wrong, or ""."""
        for kind, advice in _ADVICE.items():
            if sum(box.kind == kind for box in self.boxes) > _MANY * self.num_objects:
                return f"{advice} {self.form}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return how many there are, what is done with them, and the first of them."""
        num_clipped = sum(box.is_clipped for box in self.boxes)
        return {
            "num_objects": len(self.boxes),
            "num_dropped": len(self.boxes) - num_clipped,
            "num_clipped": num_clipped,
            "advice": self.advice,
            "form": self.form,
            "examples": [
                {"file": box.file, "split": box.split, "object": box.label, "reason": box.reason}
                for box in self.boxes[:_EXAMPLES]
            ],
        }


def what_to_do(found: dict[str, Any]) -> str:
    """Return the hint of an error about bad boxes, from their JSON."""
    return (
        f"{found['advice'] or found['form']} Fix them; or leave them out with data.on_bad_box: skip; or cut them off "
        "at the image's edges with clip, which leaves out what is empty then."
    )


def what_was_done(found: dict[str, Any]) -> str:
    """Say what is done with bad boxes, from their JSON: "2 objects are left out, 1 object is clipped"."""
    numbers = ((found["num_dropped"], "left out"), (found["num_clipped"], "cut off at the image's edges"))
    return ", ".join(f"{counted(n, 'box')} {'is' if n == 1 else 'are'} {done}" for n, done in numbers if n)
