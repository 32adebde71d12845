"""Fixed kernels: filters written down instead of learned.

A convolution here is what deep learning calls one: a cross-correlation. The matrix lies on the image as it is
written, without turning it over.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Matrix = tuple[tuple[float, ...], ...]
"""Rows of a kernel, top first."""

WHITENING: Final = "whitening"
"""Name of the kernels that are measured on the training split instead of written down."""

Kernels = tuple[Matrix, ...] | Literal["whitening"]
"""What `kernel` becomes."""


def _matrix(rows: list[list[float]], divisor: float = 1.0) -> Matrix:
    return tuple(tuple(value / divisor for value in row) for row in rows)


KERNELS: dict[str, Matrix] = {
    "sobel_x": _matrix([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "sobel_y": _matrix([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "laplacian": _matrix([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "gaussian": _matrix([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    "sharpen": _matrix([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "box": _matrix([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9),
    "identity": _matrix([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
}
"""The kernels that a config can name. `sobel_x` answers to vertical edges that brighten to the right, `sobel_y` to
horizontal ones that brighten downwards."""


class KernelArgument:
    """Pydantic annotation: a kernel's name, a matrix, or a list of these.

    Becomes a tuple of matrices of one size; "whitening" stays as it is.
    """

    def read(self, given: Any) -> Kernels:
        """Return the matrices, or "whitening"."""
        if given == WHITENING:
            return WHITENING
        several = isinstance(given, (list, tuple)) and bool(given) and not _is_row(given[0])
        matrices = tuple(_read_matrix(kernel) for kernel in (given if several else [given]))
        if len({(len(m), len(m[0])) for m in matrices}) > 1:
            raise PydanticCustomError("kernel", "All kernels of a layer must have the same height and width")
        return matrices

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        row = {"type": "array", "items": {"type": "number"}, "minItems": 1}
        one: list[JsonSchemaValue] = [{"enum": sorted(KERNELS)}, {"type": "array", "items": row, "minItems": 1}]
        return {"anyOf": [{"const": WHITENING}, *one, {"type": "array", "items": {"anyOf": one}, "minItems": 1}]}


def _is_row(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and all(type(n) in (int, float) for n in given)


def _read_matrix(given: Any) -> Matrix:
    if isinstance(given, str):
        if given in KERNELS:
            return KERNELS[given]
        known = ", ".join([*sorted(KERNELS), WHITENING])
        raise PydanticCustomError("kernel_name", "Input should be a matrix or one of {known}", {"known": known})
    if not (isinstance(given, (list, tuple)) and given and all(map(_is_row, given))):
        raise PydanticCustomError("kernel", "Input should be a kernel's name or a matrix: rows of numbers")
    if len({len(row) for row in given}) > 1 or not given[0]:
        raise PydanticCustomError("kernel", "All rows of a kernel must have the same number of values")
    return tuple(tuple(float(n) for n in row) for row in given)
