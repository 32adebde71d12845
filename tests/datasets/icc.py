"""Minimal ICC profiles, and what their colours are in sRGB: written from the specification, without a library."""

from __future__ import annotations

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Red, green and blue as XYZ, adapted to D50."""

CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""sRGB's curve: exponent, a, b, c, d of ICC's parametric curve 3; Display P3 has it too."""

GAMMA = (563 / 256,)
"""Adobe RGB's exponent."""


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _curve(parameters: tuple[float, ...]) -> bytes:
    if len(parameters) == 1:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(parameters[0] * 256)) + bytes(2)
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(*parameters)


def _text(text: str) -> bytes:
    name = text.encode("ascii") + b"\0"
    content = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(8 + 2 + 1 + 67)
    return content + bytes(-len(content) % 4)


def icc_profile(primaries: tuple[tuple[float, ...], ...] | None, curve: tuple[float, ...]) -> bytes:
    """Return a display profile: of red, green and blue, or of grey without primaries."""
    tags = {b"desc": _text("test"), b"cprt": b"text" + bytes(4) + b"free" + bytes(4)}
    tags[b"wtpt"] = b"XYZ " + bytes(4) + _fixed(*D50)
    if primaries is None:
        tags[b"kTRC"] = _curve(curve)
    else:
        for name, xyz in zip((b"r", b"g", b"b"), primaries, strict=True):
            tags[name + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(*xyz)
            tags[name + b"TRC"] = _curve(curve)
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += content
    space = b"GRAY" if primaries is None else b"RGB "
    version = 0x02400000
    head = struct.pack(">I4sI4s4s4s", offset + len(data), bytes(4), version, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _linear(values: np.ndarray, curve: tuple[float, ...]) -> np.ndarray:
    if len(curve) == 1:
        return values ** curve[0]
    exponent, a, b, c, d = curve
    return np.where(values >= d, (a * values + b) ** exponent, c * values)


def in_srgb(pixels: np.ndarray, primaries: tuple[tuple[float, ...], ...], curve: tuple[float, ...]) -> np.ndarray:
    """Return what colours are in sRGB, 0 to 255, not rounded."""
    xyz = _linear(pixels / 255, curve) @ np.array(primaries)
    linear = np.clip(xyz @ np.linalg.inv(np.array(SRGB)), 0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
