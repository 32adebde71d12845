"""One HTML page with the network inside: it draws, computes and shows its feature maps without a server."""

from __future__ import annotations

import base64
import json
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
_LARGEST_PAD = 64
"""Images with a longer side are photographs rather than drawings."""

_CENTRED = ("digits", "mnist")
"""Sets whose digits stand in the middle."""


def write_web(source: Source, description: Description, path: Path) -> None:
    """Write the page."""
    program = Program.of(source)
    document = {**_about(source, description), "layers": program.layers, "description": description.to_json()}
    template = Template((_TEMPLATES / "web_page.html").read_text(encoding="utf-8"))
    text = template.substitute(
        title=escape(description.name),
        height=description.usual_size[0],
        width=description.usual_size[1],
        # A class called "</script>" must not end the script that names it.
        program=json.dumps(document, ensure_ascii=False).replace("<", "\\u003c"),
        weights=base64.b64encode(program.buffer()).decode(),
        engine=_script("web_network.js"),
        page=_script("web_page.js"),
    )
    path.write_text(text, encoding="utf-8")


def _script(name: str) -> str:
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
