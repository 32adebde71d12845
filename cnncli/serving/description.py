"""What every artifact says about itself: classes, preprocessing, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from cnncli.config.schema.tasks import DEFAULT, TASKS
from cnncli.errors import ExportError
from cnncli.files.characters import json_safe
from cnncli.files.form import Unexpected, listed, mapped, one_of, optional, record, text, whole
from cnncli.files.read import parse_json
from cnncli.runs.documents import LOOK

VERSION = 2
"""Of the document; a reader refuses a newer one. Version 1 has no detector."""

FILE = "cnncli.json"
"""Name of the document where an artifact holds files."""

MOST_BYTES = 2**23
"""Most bytes of the document: 100,000 classes with long names."""

CLASSES_FILE = "classes.txt"
"""Name of the file with one class a line, for readers that know nothing of cnncli."""


AGAIN = "`cnn export` writes it again."

LARGEST = 16_384
"""Pixels of a side."""

FORM = record(
    {
        "name": text(1),
        "classes": listed(text(1)),
        "height": whole(1, LARGEST),
        "width": whole(1, LARGEST),
        "channels": one_of(1, 3),
        "method": one_of("bilinear", "nearest", "bicubic", "area"),
        "fit": one_of("stretch", "crop", "pad"),
        "any_size": one_of(True, False),
        "config": text(most=2**21),
        "config_sha256": text(),
        "data_content_hash": text(),
        "data_split_hash": text(),
        "look": LOOK,
        "usual_size": listed(whole(1), 2, 2),
        "run": text(),
        "checkpoint": text(),
        "precision": text(),
        "versions": mapped(optional(text())),
    },
    {"task": text()},
)
"""What the document must look like."""


@dataclass(frozen=True)
class Description:
    """An artifact's own account of itself.

    Attributes:
        name: Of the experiment.
        classes: Names in the order of the outputs.
        height: Rows of the images that the network sees.
        width: Columns.
        channels: 1 for grey, 3 for red, green and blue.
        method: How an image of another size is resized: bilinear, nearest, bicubic or area.
        fit: What happens to another aspect ratio: stretch, crop or pad.
        any_size: Whether the artifact resizes by itself, or wants images of `height` and `width`.
        config: The run's resolved config as YAML; of the path of the data, only the last name.
        config_sha256: Digest of the config as the run holds it.
        data_content_hash: The data passport's hash of all examples.
        data_split_hash: The data passport's hash of which example is in which split.
        look: How training images looked as a whole: the data passport's `looks["train"]`.
        usual_size: Height and width that most examples had as they came.
        run: The run's name and start.
        checkpoint: The checkpoint the weights are from.
        precision: What the artifact computes with.
        versions: Of Python and the packages that wrote it.
        task: What the network was trained for.
        ood_detector: What tells images unlike those of training, as plain data; None where there is nothing.
    """

    name: str
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    method: str
    fit: str
    any_size: bool
    config: str
    config_sha256: str
    data_content_hash: str
    data_split_hash: str
    look: Mapping[str, Any]
    usual_size: tuple[int, int]
    run: str
    checkpoint: str
    precision: str
    versions: Mapping[str, str | None]
    task: str = DEFAULT
    ood_detector: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """Return the document as text; the default task stays unwritten, as in a config."""
        fields = asdict(self)
        if self.task == DEFAULT:
            del fields["task"]
        return json_safe(json.dumps({"version": VERSION, **fields}, ensure_ascii=False, sort_keys=True))

    @property
    def classes_text(self) -> str:
        """What `CLASSES_FILE` holds: a class a line."""
        return "".join(f"{name}\n" for name in self.classes)

    def check_classes(self, text: bytes, where: str) -> None:
        """Refuse a `CLASSES_FILE` that its readers would take for other classes.

        Raises:
            ExportError: With the first line that differs.
        """
        lines = text.decode("utf-8", "replace").splitlines()
        for number, (line, name) in enumerate(zip_longest(lines, self.classes), start=1):
            if line != name:
                raise ExportError(
                    f"{where}: line {number} of its {CLASSES_FILE} is {line!r}, expected {name!r}",
                    "A class's name must be a single line: rename its folder." if name else None,
                )

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Description:
        """Read the document.

        Args:
            text: What `to_json` returned.
            where: What errors call the artifact.

        Raises:
            ExportError: If it is damaged, or newer than this cnncli.
        """
        try:
            fields: dict[str, Any] = parse_json(text)
            version = fields.pop("version")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ExportError(f"{where}: its embedded description is damaged", AGAIN) from error
        if version not in range(1, VERSION + 1):
            raise ExportError(f"{where}: its description has version {version}; this cnncli supports 1 to {VERSION}")
        try:
            FORM(fields)
        except Unexpected as error:
            raise ExportError(f"{where}: its embedded description is damaged: {error}", AGAIN) from error
        unknown = fields.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ExportError(f"{where}: its embedded description is damaged: it has the key {min(unknown)!r}", AGAIN)
        return cls(**{**fields, **{key: tuple(fields[key]) for key in ("classes", "usual_size")}})

    def require_known_task(self, where: str) -> None:
        """Refuse an artifact of a task that is not known here.

        The process that opens a stranger's artifact may know fewer than the one that asks it to.

        Raises:
            ExportError: Which names the task.
        """
        if self.task not in TASKS:
            raise ExportError(f'{where} is for the task "{self.task}", which this cnncli does not know')


def missing(where: str) -> ExportError:
    """Return the error for an artifact that says nothing about itself."""
    return ExportError(
        f"{where} has no description of its classes and preprocessing",
        "Use artifacts written by `cnn export`; for other .keras files use `cnn import`.",
    )
