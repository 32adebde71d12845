"""One HTML page with the network inside: it draws, computes and shows its feature maps without a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from cnncli.config.schema.tasks import DEFAULT as CLASSIFICATION
from cnncli.config.schema.tasks.detection import pairs
from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web_program import Program
from cnncli.serving.description import Description
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.decoding import LARGEST_LOG, MOST_BOXES
from cnncli.tasks.detection.matrix_nms import SIGMA
from cnncli.tasks.predictions import LEAST_SCORE

SEGMENTATION, DETECTION = "segmentation", "detection"
SHOWN = (CLASSIFICATION, SEGMENTATION, DETECTION)
"""Tasks whose predictions the page shows."""

_TEMPLATES = Path(__file__).parent / "templates"

PARTS = {"engine": "network", "units": "units", "images": "images", "worker": "worker"}
"""What computes, each a script of its own: a worker is made of them."""

PAGE = (
    *("texts", "state", "asking", "colours", "input", "answer", "flow", "number", "change", "learning", "quiz"),
    "main",
)
"""What shows it, one script in this order."""

LANGUAGES = ("en", "de")
"""Each a file of all texts; the browser's language chooses."""

_LARGEST_PAD = 64
"""Images with a longer side are photographs rather than drawings."""

_CENTRED = ("digits", "mnist")
"""Sets whose digits stand in the middle."""


def write_web(source: Source, description: Description, path: Path) -> None:
    """Write the page of a network alone."""
    path.write_text(page_text(Program.of(source), source, description), encoding="utf-8")


def page_text(
    program: Program, source: Source, description: Description, material: Mapping[str, Any] | None = None
) -> str:
    """Return the page.

    Args:
        program: The network, or its first layers.
        source: Where it is from.
        description: What the page says of itself; an artifact that is opened again, unless the network is cut off.
        material: What `cnn explore` adds: `examples`, `metrics`, `epochs`, `partial`.
    """
    added = dict(material or {})
    partial: list[str] = added.pop("partial", [])
    document = {
        **_about(source, description),
        "layers": program.layers,
        "macs": program.macs,
        "partial": partial or None,
    }
    if not partial:
        document["description"] = description.to_json()
    texts = {language: json.loads(_read(f"page/texts/{language}.json")) for language in LANGUAGES}
    return Template(_read("page/page.html")).substitute(
        title=escape(description.name),
        style=_read("page/page.css"),
        program=_json(document),
        weights=base64.b64encode(program.buffer()).decode(),
        explore=_json(added),
        texts=_json(texts),
        **{part: _read(f"web_{name}.js") for part, name in PARTS.items()},
        page="\n".join(_read(f"page/{name}.js") for name in PAGE),
    )


def _json(document: object) -> str:
    """Return JSON for inside a page: a class called "</script>" must not end the script that names it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _about(source: Source, description: Description) -> dict[str, Any]:
    """Return what the page needs to know besides the layers."""
    mean = description.look.get("mean") or [0.0]
    small = description.channels == 1 and max(description.usual_size) <= _LARGEST_PAD
    task = description.task
    drawn = small and task == CLASSIFICATION
    return {
        "task": task,
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
