"""The sections of a cfg file, and which of them mean layers of ours."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.importing.graph import GraphImportError

Options = dict[str, str]

KINDS = (
    *("avgpool", "connected", "convolutional", "crop", "dropout", "maxpool", "region", "reorg", "route", "shortcut"),
    *("softmax", "upsample", "yolo"),
)
"""Sections that are read."""

DETECTING = ("region", "yolo")
OF_IMAGES = ("avgpool", "convolutional", "maxpool", "reorg", "route", "shortcut", "upsample")
"""Sections that read an image, where others read a row of numbers too."""

_RECURRENT = "passes a state on from step to step: recurrent networks are not supported"
REFUSED = {
    **dict.fromkeys(("rnn", "gru", "lstm", "crnn", "conv_lstm"), _RECURRENT),
    "detection": "finds the boxes of a grid with dense layers, which task: detection cannot say",
    "local": "has kernels of its own for every place, which no layer of ours has",
}
"""Why other sections are not read."""


def read_sections(text: str, where: str) -> list[tuple[str, Options]]:
    """Return each section's name and options, in their order; names recur."""
    sections: list[tuple[str, Options]] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#")[0].split(";")[0].strip()
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            sections.append((line[1:-1].strip(), {}))
        elif "=" in line and sections:
            key, value = line.split("=", 1)
            sections[-1][1][key.strip()] = value.strip()
        else:
            raise GraphImportError(f"{where}:{number}: got {raw.strip()[:60]!r}, expected [section] or key=value")
    return sections


def check_kinds(kinds: Sequence[str], where: str) -> None:
    """Refuse a network with sections that mean no layer of ours, before its numbers are read.

    Raises:
        GraphImportError: With the section and the reason.
    """
    for number, kind in enumerate(kinds, 1):
        if kind not in (*KINDS, "cost"):
            reason = REFUSED.get(kind, "is not a supported layer")
            raise GraphImportError(f"{where}: section {number}: [{kind}] {reason}", f"Supported: {', '.join(KINDS)}.")
