"""ONNX files that claim much and hold little, and files with one field of one message replaced."""

from __future__ import annotations

import random
from collections.abc import Iterator

from cnncli.importing.wire_format import BYTES, FIXED32, VARINT, WireReader
from tests.importing.caffe_files import field, varint

_MESSAGES = {(): (7, 8), (7,): (1, 5, 11, 12), (7, 1): (5,), (7, 1, 5): (5,), (7, 11): (2,), (7, 11, 2): (1,)}
"""By a message's way from the model: its fields that are messages."""

_NUMBERS = (0, 1, 2, 3, 4, 7, 16, 255, 10**9, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
_TEXTS = (b"", b"Conv", b"Reshape", b"input", b"w0", b"w1", b"If", b"Loop", b"pads", b"\xff" * 9, b"x" * 5000, b"axis")
_DIMS = (10**9, 10**9, 10**9)


def _tensor(name: bytes, dims: tuple[int, ...], raw: bytes = b"", kind: int = 1) -> bytes:
    return b"".join(field(1, n) for n in dims) + field(2, kind) + field(8, name) + field(9, raw)


def _node(op: bytes, inputs: tuple[bytes, ...], output: bytes, *attributes: bytes) -> bytes:
    names = b"".join(field(1, name) for name in inputs) + field(2, output)
    return field(1, names + field(3, output) + field(4, op) + b"".join(field(5, a) for a in attributes))


def _ints(name: bytes, *numbers: int) -> bytes:
    return field(1, name) + b"".join(field(8, n % 2**64) for n in numbers) + field(20, 7)


def _value(name: bytes, dims: tuple[int, ...]) -> bytes:
    shape = b"".join(field(1, field(1, n)) for n in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def model(*parts: bytes, dims: tuple[int, ...] = (1, 3, 8, 8), output: bytes = b"y") -> bytes:
    """Return a file with an input "x", of these parts of its graph."""
    graph = b"".join(parts) + field(11, _value(b"x", dims)) + field(12, _value(output, ()))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def files() -> Iterator[tuple[str, bytes]]:
    """Yield what each is, and a file that is to be refused."""
    relu = _node(b"Relu", (b"x",), b"y")
    for number, dims in enumerate((_DIMS, (2**62, 4), (2**63, 2), (0, 10**9), (1,) * 40, (2**64 - 1,), (3, 10**9))):
        tensor = field(5, _tensor(b"w", dims, bytes(8)))
        yield f"dims {number}", model(tensor, _node(b"Conv", (b"x", b"w"), b"y"))
    for number, dims in enumerate(((1, 3, 10**9, 10**9), (1, 10**9, 8, 8), (2**31 - 1,) * 4)):
        dense = _node(b"Flatten", (b"x",), b"f") + _node(b"Gemm", (b"f", b"w"), b"y")
        yield f"image {number}", model(field(5, _tensor(b"w", (1, 1), bytes(4))), dense, dims=dims)
    yield "cycle", model(_node(b"Add", (b"x", b"z"), b"y"), _node(b"Relu", (b"y",), b"z"))
    yield "own output", model(_node(b"Add", (b"x", b"y"), b"y"))
    yield "made twice", model(relu, relu)
    yield "claimed length", field(7, relu)[:1] + varint(2**30) + b"abc"
    yield "claimed text", model(b"\x0a\x08" + b"\x0a" + varint(2**30) + b"12345")
    yield "nodes", model(*[_node(b"Relu", (b"x",), b"y%d" % i) for i in range(20_000)])
    yield "fields", model(field(1, b"\x30\x01" * 1_100_000))
    nested = b""
    for _ in range(2000):
        nested = field(1, _node(b"If", (b"x",), b"y") + field(5, field(6, nested)))
    yield "graphs within graphs", model(nested)
    doubled = [
        _node(b"Concat", (b"d%d" % i,) * 2, b"d%d" % (i + 1), field(1, b"axis") + field(3, 1)) for i in range(300)
    ]
    first = _node(b"Relu", (b"x",), b"d0")
    last = _node(b"Conv", (b"d300", b"w"), b"y")
    yield "doubling", model(first, *doubled, last, field(5, _tensor(b"w", (1, 3, 1, 1), bytes(12))))
    flat = _node(b"Flatten", (b"x",), b"d0")
    yield "doubling vectors", model(flat, *doubled, _node(b"Gemm", (b"d300", b"w"), b"y"))
    shared = field(5, _tensor(b"w", (64, 64, 5, 5), bytes(409_600)))
    pads = _ints(b"pads", 2, 2, 2, 2)
    convs = [_node(b"Conv", (b"c%d" % i, b"w"), b"c%d" % (i + 1), pads) for i in range(5000)]
    start = _node(b"Relu", (b"x",), b"c0")
    yield "shared weights", model(shared, start, *convs, dims=(1, 64, 8, 8), output=b"c5000")
    yield (
        "huge pads",
        model(_node(b"Pad", (b"x", b"p"), b"y"), field(5, _tensor(b"p", (8,), b"\xff" * 7 * 8 + b"\x7f" * 8, 7))),
    )
    yield "huge pool", model(_node(b"MaxPool", (b"x",), b"y", _ints(b"kernel_shape", 2**62, 2**62)))
    yield (
        "external",
        model(field(5, field(2, 1) + field(8, b"w") + field(13, field(1, b"location") + field(2, b"/etc/passwd")))),
    )
    yield "integers", model(field(5, field(1, 10**9) + field(2, 7) + field(8, b"w") + field(7, b"\x01" * 2_000_000)))
    yield "functions", model(relu) + field(25, b"")
    yield "other domain", model(field(1, field(2, b"y") + field(4, b"PyOp") + field(7, b"ai.onnx.contrib")))
    yield "no output", model(relu, output=b"nothing")
    yield "no nodes", model()
    yield "two graphs", model(relu) + field(7, b"")
    yield "empty", b""


def with_another_field(content: bytes, draw: random.Random) -> bytes:
    """Return a file that is whole as Protocol Buffers, with one field replaced, removed, doubled or added."""
    return _changed(memoryview(content), (), draw)


def _changed(message: memoryview, way: tuple[int, ...], draw: random.Random) -> bytes:
    fields = list(WireReader("a mutation").fields(message))
    inner = [i for i, (number, *_) in enumerate(fields) if number in _MESSAGES.get(way, ())]
    written = [_written(*item) for item in fields]
    if inner and draw.random() < 0.9:
        place = draw.choice(inner)
        number, _, value = fields[place]
        assert isinstance(value, memoryview)
        written[place] = field(number, _changed(value, (*way, number), draw))
        return b"".join(written)
    place = draw.randrange(len(written)) if written else 0
    number = fields[place][0] if written and draw.random() < 0.8 else draw.randrange(1, 21)
    kind = draw.randrange(4)
    other = field(number, draw.choice(_NUMBERS) if draw.random() < 0.5 else draw.choice(_TEXTS))
    if kind == 0:
        written[place : place + 1] = [other]
    elif kind == 1:
        written[place:place] = [other]
    elif kind == 2:
        del written[place : place + 1]
    else:
        written[place:place] = written[place : place + 1] * draw.choice((1, 5, 200))
    return b"".join(written)


def _written(number: int, wire_type: int, value: int | memoryview) -> bytes:
    if isinstance(value, int):
        return field(number, value) if wire_type == VARINT else b""
    if wire_type == BYTES:
        return field(number, bytes(value))
    return varint(number << 3 | (FIXED32 if len(value) == 4 else 1)) + bytes(value)
