"""The runtimes of exported files, and the child process that a stranger's file is opened in.

`child.py` starts this file by its path and talks to it through pipes: it imports nothing of cnncli, so that it starts
as fast as the runtime does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Named = list[tuple[str, npt.NDArray[Any]]]
"""Outputs and their names, in the file's order; LiteRT keeps no names."""

DESCRIPTION = "cnncli.json"


class Session(NamedTuple):
    """A file opened by its runtime.

    Attributes:
        description: What an ONNX file says about itself, or None.
        compute: uint8 images (number, height, width, channels) to outputs.
    """

    description: str | None
    compute: Callable[[Pixels], Named]


def onnx(path: str) -> Session:
    """Open an ONNX file; whatever onnxruntime raises comes through."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    inputs = [part.name for part in session.get_inputs()]
    if inputs != ["images"]:
        raise ValueError(f"it takes {', '.join(inputs) or 'nothing'}, expected images")

    def compute(images: Pixels) -> Named:
        return list(zip(names, session.run(names, {"images": images}), strict=True))

    return Session(session.get_modelmeta().custom_metadata_map.get(DESCRIPTION), compute)


def litert(path: str) -> Session:
    """Open a LiteRT file; whatever it raises comes through."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=Path(path).read_bytes())
    given = interpreter.get_input_details()[0]["index"]
    outputs = [output["index"] for output in interpreter.get_output_details()]
    shape: tuple[int, ...] = ()

    def compute(images: Pixels) -> Named:
        nonlocal shape
        if images.shape != shape:
            # Laid out anew whenever the number of images changes.
            interpreter.resize_tensor_input(given, images.shape)
            interpreter.allocate_tensors()
            shape = images.shape
        interpreter.set_tensor(given, images)
        interpreter.invoke()
        return [("", np.array(interpreter.get_tensor(index))) for index in outputs]

    return Session(None, compute)


RUNTIMES: dict[str, tuple[str, Callable[[str], Session]]] = {
    "onnx": ("onnxruntime", onnx),
    "litert": ("ai_edge_litert.interpreter", litert),
}
"""Kind of artifact → the module that takes time to import, and what opens a file."""


def main(kind: str, path: str) -> None:
    """Open a file and answer batches until the parent goes."""
    module, opened = RUNTIMES[kind]

    def load() -> Callable[[str], Session]:
        __import__(module)
        return opened

    serve(load, path)


def _reason(error: Exception) -> dict[str, Any]:
    return {"error": str(error)[:300] or type(error).__name__}


def serve(
    load: Callable[[], Callable[[str], Session]],
    path: str,
    told: Callable[[Exception], dict[str, Any]] = _reason,
    *,
    writes: bool = False,
) -> None:
    """Open a file and answer batches until the parent goes: lines of JSON, with bytes behind them.

    Args:
        load: Loads the runtime, which takes time that is not the file's, and returns what opens a file.
        path: The file.
        told: Returns what the parent hears of an error.
        writes: Whether files may be written and many be open.
    """
    # What native code prints must not come between the answers.
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent hears Ctrl-C too, and ends this process.
    opened = load()
    _limit(writes)
    _say(answers, {"ready": True})
    asked.readline()
    try:
        session = opened(path)
    except Exception as error:  # noqa: BLE001 - whatever a native runtime raises
        _say(answers, told(error))
        return
    _say(answers, {"description": session.description})
    while line := asked.readline():
        images = _images(asked, json.loads(line)["shape"])
        try:
            outputs = [(name, np.ascontiguousarray(array)) for name, array in session.compute(images)]
        except Exception as error:  # noqa: BLE001 - whatever a native runtime raises
            _say(answers, told(error))
            continue
        head = [[name, array.dtype.name, list(array.shape)] for name, array in outputs]
        _say(answers, {"outputs": head}, *(array.tobytes() for _, array in outputs))


def _images(asked: BinaryIO, shape: list[int]) -> Pixels:
    return np.frombuffer(asked.read(int(np.prod(shape))), np.uint8).reshape(shape)


def _say(answers: BinaryIO, document: Any, *content: bytes) -> None:
    answers.write(json.dumps(document).encode() + b"\n" + b"".join(content))
    answers.flush()


def _limit(writes: bool = False) -> None:
    """Let this process write no file, open few and leave no core; memory and time the parent limits and watches."""
    if sys.platform == "win32":
        return
    import resource

    files = () if writes else ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 64))
    for what, most in ((resource.RLIMIT_CORE, 0), *files):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most, hard) if hard == resource.RLIM_INFINITY else (min(most, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
