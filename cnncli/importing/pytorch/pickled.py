"""The pickle of a .pt file, read as data: dictionaries, lists, texts, numbers and descriptions of tensors.

`pickle` runs what a file names. Here `pickletools` only takes the bytes apart, and what few operations a state_dict
consists of are done on plain values; every other one, and every other name than those below, ends the reading.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cnncli.importing.graph import GraphImportError
from cnncli.layers.base import Shape

MOST_OPERATIONS = 500_000
"""Most operations of a pickle: a network of a thousand tensors has some forty thousand."""

STORAGES = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "DoubleStorage": "F64",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
"""PyTorch's names of arrays of numbers, and what the numbers are."""

TENSOR, MAPPING = "torch._utils._rebuild_tensor_v2", "collections.OrderedDict"
ALLOWED = {TENSOR, MAPPING, *(f"torch.{name}" for name in STORAGES)}
"""The names that a state_dict consists of. None of them is imported."""

_HINT = "Save the weights alone: torch.save(model.state_dict(), ….pt)."


class _Mark:
    """Stands on the stack where the items of a tuple, list or dictionary begin."""


@dataclass(frozen=True)
class Name:
    """A name of Python's that the pickle holds; nothing but a text."""

    text: str


@dataclass(frozen=True)
class Storage:
    """An array of numbers in the archive.

    Attributes:
        kind: What the numbers are.
        key: Name of the archive's member.
        size: How many numbers.
    """

    kind: str
    key: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A part of a storage.

    Attributes:
        storage: Where its values are.
        offset: Number of values before its first.
        shape: Its shape.
        strides: Values between neighbours along each axis.
    """

    storage: Storage
    offset: int
    shape: Shape
    strides: Shape


def read_pickle(content: bytes, where: str) -> Any:
    """Return what a pickle holds: nested dictionaries, lists and tuples of texts, numbers, names and tensors.

    Raises:
        GraphImportError: If it is damaged, or holds anything else.
    """
    return _Machine(where).run(content)


class _Machine:
    """The stack and the memory of a pickle while it is read."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """Return what the operations leave."""
        for number, (name, argument) in enumerate(self._operations(content)):
            if number >= MOST_OPERATIONS:
                raise GraphImportError(f"{self._where} has more than {MOST_OPERATIONS:,} operations")
            if name == "STOP":
                return self._pop()
            if name not in _STEPS:
                raise GraphImportError(f"{self._where}: the pickle's operation {name} is not read", _HINT)
            _STEPS[name](self, argument)
        raise self._damaged("it does not end")

    def _operations(self, content: bytes) -> Iterator[tuple[str, Any]]:
        try:
            for operation, argument, _ in pickletools.genops(content):
                yield operation.name, argument
        except GraphImportError:
            raise
        except Exception as error:  # noqa: BLE001 - arguments of damaged operations raise what their types raise
            raise self._damaged(str(error)[:100]) from None

    def _damaged(self, what: str) -> GraphImportError:
        return GraphImportError(f"{self._where}: the pickle is damaged: {what}")

    def _pop(self) -> Any:
        if not self._stack or isinstance(self._stack[-1], _Mark):
            raise self._damaged("an operation lacks its values")
        return self._stack.pop()

    def _pop_all(self) -> list[Any]:
        """Return what stands above the last mark, and take the mark away too."""
        items: list[Any] = []
        while self._stack:
            item = self._stack.pop()
            if isinstance(item, _Mark):
                return items[::-1]
            items.append(item)
        raise self._damaged("an operation lacks its mark")

    def _top(self, kind: type[Any]) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise self._damaged(f"an operation lacks its {kind.__name__}")
        return self._stack[-1]

    # The operations.

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def skip(self, _: Any) -> None:
        """Do nothing: a version, or the length of what follows."""

    def tuple_of(self, count: int) -> None:
        self._stack.append(tuple([self._pop() for _ in range(count)][::-1]))

    def marked_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_all()))

    def append(self, _: Any) -> None:
        value = self._pop()
        self._top(list).append(value)

    def extend(self, _: Any) -> None:
        values = self._pop_all()
        self._top(list).extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def set_items(self, _: Any) -> None:
        self._set(self._pop_all())

    def _set(self, items: list[Any]) -> None:
        mapping = self._top(dict)
        if len(items) % 2:
            raise self._damaged("a key lacks its value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Tuples of tuples of … would take for ever to hash.
            if not isinstance(key, (str, int)):
                raise GraphImportError(f"{self._where}: got a key of type {type(key).__name__}, expected text", _HINT)
            mapping[key] = value

    def put(self, place: int) -> None:
        self._memory[place] = self._top(object)

    def memoize(self, _: Any) -> None:
        self._memory[len(self._memory)] = self._top(object)

    def get(self, place: int) -> None:
        if place not in self._memory:
            raise self._damaged("a value is used before it is made")
        self._stack.append(self._memory[place])

    def name(self, text: str) -> None:
        self._name(*text.split(" ", 1))

    def stacked_name(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise self._damaged("a name is not text")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        whole = f"{module}.{name}"
        if whole not in ALLOWED:
            raise GraphImportError(f"{self._where} names {whole[:100]}, which is not part of a state_dict", _HINT)
        self._stack.append(Name(whole))

    def storage(self, _: Any) -> None:
        given = self._pop()
        if not (isinstance(given, tuple) and len(given) == 5 and given[0] == "storage"):
            raise self._damaged("a reference is not to a storage")
        _, kind, key, _, size = given
        storage = STORAGES.get(kind.text.removeprefix("torch.")) if isinstance(kind, Name) else None
        if storage is None or not isinstance(key, str) or not _is_length(size):
            raise self._damaged("a storage lacks its type, name or size")
        self._stack.append(Storage(storage, key, size))

    def call(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        if not (isinstance(function, Name) and isinstance(arguments, tuple)):
            raise self._damaged("what is called is not a name")
        if function.text == TENSOR:
            self._stack.append(self._tensor(arguments))
        elif function.text == MAPPING and arguments in ((), ([],)):
            self._stack.append({})
        else:
            raise GraphImportError(f"{self._where} calls {function.text} as no state_dict does", _HINT)

    def _tensor(self, arguments: tuple[Any, ...]) -> Tensor:
        storage, offset, shape, strides = (*arguments, None, None, None, None)[:4]
        fits = isinstance(storage, Storage) and _is_length(offset) and _are_lengths(shape) and _are_lengths(strides)
        if not fits or len(shape) != len(strides) or len(shape) > 32:
            raise self._damaged("a tensor lacks its storage, offset, shape or strides")
        return Tensor(storage, offset, shape, strides)

    def state(self, _: Any) -> None:
        """Drop the attributes of a dictionary: a state_dict has versions of its modules there."""
        self._pop()
        self._top(dict)


def _is_length(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**63


def _are_lengths(numbers: Any) -> bool:
    return isinstance(numbers, tuple) and all(map(_is_length, numbers))


_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
"""Operations that put the value on the stack that they hold."""

_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(_VALUES, _Machine.push),
    **dict.fromkeys(("PROTO", "FRAME"), _Machine.skip),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "MARK": lambda machine, _: machine.push(_Mark()),
    "TUPLE": _Machine.marked_tuple,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stacked_name,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.state,
}
"""What the operations do."""
