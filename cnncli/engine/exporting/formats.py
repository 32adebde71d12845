"""The formats that a run can be exported to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.config.location import GIVE
from cnncli.config.schema.schema import Data
from cnncli.config.schema.tasks import TASKS
from cnncli.engine.exporting.keras_file import obstacles as keras_obstacles
from cnncli.engine.exporting.keras_file import takes_any_size as keras_takes_any_size
from cnncli.engine.exporting.keras_file import write_keras
from cnncli.engine.exporting.litert_file import write_float16, write_float32, write_int8
from cnncli.engine.exporting.onnx_file import takes_any_size as onnx_takes_any_size
from cnncli.engine.exporting.onnx_file import write_onnx
from cnncli.engine.exporting.parity import EXACT, Tolerance
from cnncli.engine.exporting.proof import NUM_EXAMPLES
from cnncli.engine.exporting.python_script import ANSWERS, write_python
from cnncli.engine.exporting.saved_model import write_saved_model
from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web_page import SHOWN, write_web
from cnncli.engine.exporting.web_program import obstacles as web_obstacles
from cnncli.errors import ExportError
from cnncli.layers.convolution import Conv3D
from cnncli.layers.pooling import AveragePooling3D, MaxPooling3D
from cnncli.serving.packages import absent
from cnncli.serving.web_page import absent as no_javascript

if TYPE_CHECKING:
    from cnncli.engine.exporting.source import Source
    from cnncli.serving.description import Description

Write = Callable[["Source", "Description", Path], None]

NUM_IMAGES = 64
"""Real examples for a slow runtime, of a task that says something of every pixel."""

_OTHER = "Choose another format."


@dataclass(frozen=True)
class Format:
    """How one kind of artifact comes about.

    Attributes:
        kind: What `--format` calls it.
        suffix: What its name ends in, after the experiment's.
        write: Writes it to a path.
        quantize: "float16" or "int8", or None where the weights stay as they are.
        absent: Returns an error where what it needs is not installed; None: it needs nothing.
        float32: Whether it computes in float32 whatever the run does.
        takes_any_size: Whether it resizes images by itself; None: never.
        limits: The layers of a network that it cannot hold, each with the reason; None: it holds all.
        tasks: The tasks whose predictions it shows; None: it holds networks of every task.
        tolerance: What it may differ by.
        most_examples: Most real examples that its slow runtime computes, or None.
    """

    kind: str
    suffix: str
    write: Write
    quantize: str | None = None
    absent: Callable[[], ExportError | None] | None = None
    float32: bool = False
    takes_any_size: Callable[[Data], bool] | None = None
    limits: Callable[[Source], Iterable[str]] | None = None
    tasks: Collection[str] | None = None
    tolerance: Tolerance = EXACT
    most_examples: int | None = None

    def resizes(self, data: Data) -> bool:
        """Whether an artifact takes images of any size."""
        return self.takes_any_size is not None and self.takes_any_size(data)

    def num_examples(self, source: Source, number: int) -> int:
        """Return how many of so many real examples it computes; few in a slow runtime, where each has many pixels."""
        if self.most_examples is None:
            return number
        return min(number, NUM_IMAGES if TASKS[source.config.task].has_places else self.most_examples)

    @property
    def title(self) -> str:
        """The format and how it is quantised: "litert int8"."""
        return f"{self.kind} {self.quantize}" if self.quantize else self.kind

    def obstacle(self, source: Source) -> tuple[str, str | None] | None:
        """Return why a network cannot be written in this format and what to do, or None if it can."""
        error = self.absent() if self.absent else None
        if error is not None:
            return error.message, error.hint
        task = source.config.task
        if self.tasks is not None and task not in self.tasks:
            return f"{self.title} is for {' and '.join(self.tasks)}; this network's task is {task}", _OTHER
        if self.quantize == "int8" and source.kept:
            return "int8 is calibrated with training examples, which are missing", GIVE
        found = list(self.limits(source)) if self.limits else []
        if found:
            return f"{self.title} does not support {'; '.join(found)}", "Choose another format, or change these layers."
        return None


def _always(_: Data) -> bool:
    return True


def _litert_obstacles(source: Source) -> Iterable[str]:
    """Return the layers that LiteRT has no operation for."""
    for node in source.nodes:
        if isinstance(node.layer, (MaxPooling3D, AveragePooling3D)):
            yield f"{node.name} ({node.layer.type_name()}: LiteRT has no 3D pooling)"
        if isinstance(node.layer, Conv3D) and node.layer.groups > 1:
            yield f"{node.name} (Conv3D with groups)"


_LITERT: dict[str, Any] = {"absent": partial(absent, "ai_edge_litert"), "float32": True, "limits": _litert_obstacles}

FORMATS: tuple[Format, ...] = (
    Format("keras", ".keras", write_keras, takes_any_size=keras_takes_any_size, limits=keras_obstacles),
    Format("saved_model", "_saved_model", write_saved_model, takes_any_size=_always),
    Format(
        "onnx",
        ".onnx",
        write_onnx,
        absent=partial(absent, "tf2onnx", "onnx", "onnxruntime"),
        float32=True,
        takes_any_size=onnx_takes_any_size,
    ),
    Format("litert", ".tflite", write_float32, **_LITERT),
    Format("litert", "-float16.tflite", write_float16, "float16", **_LITERT, tolerance=Tolerance(None, None, 0.01)),
    Format("litert", "-int8.tflite", write_int8, "int8", **_LITERT, tolerance=Tolerance(None, None, 0.01)),
    Format("python", "_python", write_python, takes_any_size=_always, tasks=ANSWERS),
    Format(
        "web",
        ".html",
        write_web,
        absent=no_javascript,
        float32=True,
        takes_any_size=_always,
        limits=web_obstacles,
        tasks=SHOWN,
        most_examples=NUM_EXAMPLES,
    ),
)
"""In the order in which `--all` writes them."""


def choose(kinds: Iterable[str], quantize: str | None) -> tuple[Format, ...]:
    """Return the formats that `--format` and `--quantize` name."""
    wanted = {(kind, quantize if kind == "litert" else None) for kind in kinds}
    return tuple(one for one in FORMATS if (one.kind, one.quantize) in wanted)
