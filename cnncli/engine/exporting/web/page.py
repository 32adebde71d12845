"""One HTML page with the network inside: it draws, computes and shows its feature maps without a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from cnncli.analysis.summary import summarize
from cnncli.config.schema.tasks import DEFAULT as CLASSIFICATION
from cnncli.config.schema.tasks.detection import pairs
from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web.program import Program
from cnncli.serving.description import Description
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.decoding import LARGEST_LOG, MOST_BOXES
from cnncli.tasks.detection.matrix_nms import SIGMA
from cnncli.tasks.predictions import LEAST_SCORE

SEGMENTATION, DETECTION = "segmentation", "detection"
SHOWN = (CLASSIFICATION, SEGMENTATION, DETECTION)
"""Tasks whose predictions the page shows."""

_TEMPLATES = Path(__file__).parents[1] / "templates"
_PARTS = {
    "style": "web_page.css",
    "engine": "web_network.js",
    "units": "web_units.js",
    "images": "web_images.js",
    "worker": "web_worker.js",
    "language": "web_language.js",
    "page": "web_page.js",
    "flow": "web_flow.js",
    "unit": "web_unit.js",
    "teaching": "web_teaching.js",
}
"""What stands in the page as it is."""

_LARGEST_PAD = 64
"""Images with a longer side are photographs rather than drawings."""

_CENTRED = ("digits", "mnist")
"""Sets whose digits stand in the middle."""


@dataclass(frozen=True)
class Lecture:
    """What a page shows besides the network.

    Attributes:
        examples: Images of the network's size, with names, true and predicted classes: plain data.
        epochs: Numbers of the epochs whose weights are in the page.
        weights: Those weights, as `Program.buffer` has them.
        curves: Values after each epoch by name, for the plots.
        best: Number of the epoch that the page's first weights are of, or None.
    """

    examples: Mapping[str, Any]
    epochs: tuple[int, ...] = ()
    weights: tuple[bytes, ...] = ()
    curves: Mapping[str, list[float | None]] = field(default_factory=dict)
    best: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the weights."""
        return {"examples": self.examples, "epochs": self.epochs, "curves": self.curves, "best": self.best}


def write_web(source: Source, description: Description, path: Path) -> None:
    """Write the page."""
    path.write_text(page_text(source, description), encoding="utf-8")


def page_text(source: Source, description: Description, lecture: Lecture | None = None) -> str:
    """Return the page.

    Args:
        source: The network.
        description: What the page says about itself.
        lecture: What it shows besides the network; None for the network alone.
    """
    program = Program.of(source)
    document = {**_about(source, description), "layers": program.layers, "description": description.to_json()}
    template = Template(_text("web_page.html"))
    return template.substitute(
        title=escape(description.name),
        height=description.usual_size[0],
        width=description.usual_size[1],
        program=_json(document),
        weights=base64.b64encode(program.buffer()).decode(),
        lecture="" if lecture is None else _json(lecture.to_json()),
        epochs="" if lecture is None else ",".join(base64.b64encode(each).decode() for each in lecture.weights),
        texts=_json({path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _languages()}),
        **{name: _text(file) for name, file in _PARTS.items()},
    )


def _languages() -> list[Path]:
    """Return the tables of texts, one a language, English first."""
    return sorted((_TEMPLATES / "texts").glob("*.json"), key=lambda path: (path.stem != "en", path.stem))


def _json(document: Any) -> str:
    # A class called "</script>" must not end the script that names it.
    return json.dumps(document, ensure_ascii=False).replace("<", "\\u003c")


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _about(source: Source, description: Description) -> dict[str, Any]:
    """Return what the page needs to know besides the layers."""
    mean = description.look.get("mean") or [0.0]
    small = description.channels == 1 and max(description.usual_size) <= _LARGEST_PAD
    task = description.task
    drawn = small and task == CLASSIFICATION
    return {
        "task": task,
        "macs": summarize(source.config).macs,
        "classes": list(description.classes),
        "colours": class_colours(len(description.classes)).tolist() if task in (SEGMENTATION, DETECTION) else None,
        "detector": _detector(source) if task == DETECTION else None,
        "height": description.height,
        "width": description.width,
        "channels": description.channels,
        "method": description.method,
        "fit": description.fit,
        "usual_size": list(description.usual_size),
        "ood_detector": description.ood_detector,
        "dark": sum(mean) / len(mean) < 0.5,
        "pad": drawn,
        "centre": drawn and source.config.data.source in _CENTRED,
    }


def _detector(source: Source) -> dict[str, Any]:
    """Return which layers' outputs are a detector's planes, and how boxes come of them."""
    return {
        "planes": [
            {name: source.ends[output] for name, output in pair._asdict().items()} for pair in pairs(source.ends)
        ],
        "most_boxes": MOST_BOXES,
        "largest_log": LARGEST_LOG,
        "least_score": LEAST_SCORE,
        "sigma": SIGMA if source.config.nms == "matrix" else None,
    }
