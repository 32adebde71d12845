"""Where a module can be mutated, and how: small mistakes as a person makes them.

An operator becomes its neighbour, a number one more or less, a condition its opposite, a returned value None; a
statement is left out; two arguments change places. What is only said to people stays as it is: docstrings, annotations,
help texts, messages, log lines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}

ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "//",
    ast.Pow: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.LShift: ">>",
    ast.RShift: "<<",
}

SAID_TO_PEOPLE = {"help", "description", "message", "hint", "title", "caption", "epilog", "metavar", "rich_help_panel"}
"""Keyword arguments whose values are read by people."""

NO_DIFFERENCE = {"strict", "encoding", "stacklevel", "copy", "repr", "prefix"}
"""Keyword arguments that guard against what cannot happen here, save work, or name what is temporary."""

COMMUTATIVE = {"max", "min", "gcd", "lcm", "np.maximum", "np.minimum"}
"""Functions whose arguments may change places."""

LOGS = {"log", "logger", "logging", "warnings"}

NOT_RUN = {"annotation", "decorator_list", "bases", "keywords", "type_params", "pattern", "type"}
"""Parts of statements that are left as they are."""

DROPPED = (ast.Raise, ast.Continue, ast.Break, ast.AugAssign, ast.Delete)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, order=True)
class Mutation:
    """One span of a module's bytes, and what is written there instead."""

    path: str
    line: int
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        """Return the mutated module."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def change(self, source: bytes) -> str:
        """Return the line as it was and as it becomes: `if a < b: → if a <= b:`."""
        first = source.rfind(b"\n", 0, self.start) + 1
        last = source.find(b"\n", self.end)
        last = len(source) if last < 0 else last
        before = source[first:last]
        after = source[first : self.start] + self.text.encode() + source[self.end : last]
        return f"{_one_line(before)} → {_one_line(after)}"


def _one_line(source: bytes) -> str:
    return " ".join(source.decode().split())


def mutations(path: str, source: bytes) -> list[Mutation]:
    """Return what can be done to a module, span by span; `is_real` says of each whether it comes to something."""
    return sorted(set(_Finder(path, source).found(ast.parse(source))))


def is_real(mutation: Mutation, source: bytes) -> bool:
    """Return whether a mutated module still is Python and means something else."""
    try:
        mutated = ast.parse(mutation.apply(source))
    except SyntaxError:
        return False
    return ast.dump(mutated) != ast.dump(ast.parse(source))


class _Finder:
    """Walks a module's tree and knows where its nodes stand in the text."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.source = source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def found(self, tree: ast.Module) -> Iterator[Mutation]:
        yield from self.body(tree.body, set())

    def body(self, statements: list[ast.stmt], rebound: set[str]) -> Iterator[Mutation]:
        for statement in statements:
            yield from self.statement(statement, rebound)

    def statement(self, node: ast.stmt, rebound: set[str]) -> Iterator[Mutation]:
        """Yield what can be done to a statement and within it; `rebound` are a function's names with two values."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from self.defaults(node.args)
            yield from self.body(node.body, _rebound(node))
        elif not _is_left_alone(node):
            if isinstance(node, DROPPED) or _is_effect(node, rebound):
                yield self.write(node, "pass")
            if isinstance(node, ast.Return):
                yield from self.returned(node)
            if isinstance(node, ast.If | ast.While):
                yield self.negated(node.test)
            if not isinstance(node, ast.Raise):  # the rest of it is a message
                yield from self.within(node, rebound)

    def within(self, node: ast.AST, rebound: set[str]) -> Iterator[Mutation]:
        """Yield what can be done to the parts of a statement."""
        for name, field in ast.iter_fields(node):
            for part in field if isinstance(field, list) else [field]:
                if name in NOT_RUN or not isinstance(part, ast.AST):
                    continue
                if isinstance(part, ast.stmt):
                    yield from self.statement(part, rebound)
                elif isinstance(part, ast.ExceptHandler | ast.match_case):
                    yield from self.within(part, rebound)
                else:
                    yield from self.expression(part)

    def expression(self, node: ast.AST) -> Iterator[Mutation]:
        """Yield what can be done to an expression and within it."""
        if isinstance(node, ast.JoinedStr) and not self.stands_where_it_says(node):
            return
        if own := getattr(self, f"of_{type(node).__name__.lower()}", None):
            yield from own(node)
        if not isinstance(node, ast.Call | ast.Lambda):  # these look into themselves
            for child in ast.iter_child_nodes(node):
                if not (isinstance(node, ast.FormattedValue) and child is node.format_spec):
                    yield from self.expression(child)

    def stands_where_it_says(self, node: ast.JoinedStr) -> bool:
        """Return whether the values in an f-string stand where their nodes say, which older Pythons get wrong."""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                try:
                    read = ast.parse(self.text(part.value), mode="eval").body
                except (SyntaxError, UnicodeDecodeError):
                    return False
                if ast.dump(read) != ast.dump(part.value):
                    return False
        return True

    def returned(self, node: ast.Return) -> Iterator[Mutation]:
        if node.value is None:
            yield self.write(node, "pass")
        elif not (isinstance(node.value, ast.Constant) and node.value.value in (None, False)):
            yield self.write(node.value, "None")

    def defaults(self, arguments: ast.arguments) -> Iterator[Mutation]:
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if isinstance(default, ast.Constant) and isinstance(default.value, str):
                yield self.write(default, "None")
            elif default is not None:
                yield from self.expression(default)

    def of_compare(self, node: ast.Compare) -> Iterator[Mutation]:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            for text in COMPARISONS[type(operator)]:
                yield from self.between(left, right, r"not\s+in|is\s+not|in|is|[<>=!]=|[<>]", text)

    def of_binop(self, node: ast.BinOp) -> Iterator[Mutation]:
        if type(node.op) in ARITHMETIC and not any(_is_text_or_type(operand) for operand in (node.left, node.right)):
            yield from self.between(node.left, node.right, r"\*\*|//|<<|>>|[-+*/%&|]", ARITHMETIC[type(node.op)])

    def of_boolop(self, node: ast.BoolOp) -> Iterator[Mutation]:
        text = "or" if isinstance(node.op, ast.And) else "and"
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from self.between(left, right, r"and|or", text)

    def of_unaryop(self, node: ast.UnaryOp) -> Iterator[Mutation]:
        if not isinstance(node.operand, ast.Constant):  # -1 and 1 are often the same axis
            yield self.write(node, f"({self.text(node.operand)})")

    def of_ifexp(self, node: ast.IfExp) -> Iterator[Mutation]:
        yield self.negated(node.test)

    def of_comprehension(self, node: ast.comprehension) -> Iterator[Mutation]:
        yield from map(self.negated, node.ifs)

    def of_lambda(self, node: ast.Lambda) -> Iterator[Mutation]:
        yield from self.defaults(node.args)
        yield from self.expression(node.body)

    def of_constant(self, node: ast.Constant) -> Iterator[Mutation]:
        if isinstance(node.value, bool):
            yield self.write(node, str(not node.value))
        elif isinstance(node.value, int):
            yield self.write(node, str(node.value + 1))
            yield self.write(node, str(node.value - 1))
        elif isinstance(node.value, float):
            yield self.write(node, repr(node.value + 1))
            yield self.write(node, repr(node.value / 2))

    def of_call(self, node: ast.Call) -> Iterator[Mutation]:
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in LOGS
        ):
            return
        yield from self.expression(node.func)
        given = node.args
        if len(given) > 1 and not any(isinstance(argument, ast.Starred) for argument in given):
            first, second = given[:2]
            between = self.source[self.place(first)[1] : self.place(second)[0]].decode()
            if self.text(node.func) not in COMMUTATIVE:
                yield self.span(first, second, self.text(second) + between + self.text(first))
            yield self.span(given[-2], given[-1], self.text(given[-2]))
        for argument in given:
            yield from self.expression(argument)
        for keyword in node.keywords:
            if keyword.arg not in SAID_TO_PEOPLE | NO_DIFFERENCE:
                if keyword.arg is not None:
                    yield self.without(keyword)
                yield from self.expression(keyword.value)

    def without(self, keyword: ast.keyword) -> Mutation:
        """Return the mutation that leaves an argument out, with the comma before or after it."""
        start, end = self.place(keyword)
        if after := re.match(rb"\s*,[ \t]*", self.source[end:]):
            end += after.end()
        elif before := re.search(rb",\s*$", self.source[:start]):
            start = before.start()
        return Mutation(self.path, keyword.lineno, start, end, "")

    def negated(self, node: ast.expr) -> Mutation:
        return self.write(node, f"(not ({self.text(node)}))")

    def between(self, left: ast.expr, right: ast.expr, operator: str, text: str) -> Iterator[Mutation]:
        """Yield the mutation of the operator that stands between two operands, outside parentheses and comments."""
        start, end = self.place(left)[1], self.place(right)[0]
        gap = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), self.source[start:end])
        if match := re.search(operator.encode(), gap):
            line = left.end_lineno or left.lineno
            line += gap[: match.start()].count(b"\n")
            yield Mutation(self.path, line, start + match.start(), start + match.end(), text)

    def write(self, node: ast.expr | ast.stmt, text: str) -> Mutation:
        return Mutation(self.path, node.lineno, *self.place(node), text)

    def span(self, first: ast.expr, last: ast.expr, text: str) -> Mutation:
        return Mutation(self.path, first.lineno, self.place(first)[0], self.place(last)[1], text)

    def text(self, node: ast.AST) -> str:
        start, end = self.place(node)
        return self.source[start:end].decode()

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node's text begins and ends, in bytes."""
        start = self.lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return start, end


def _is_left_alone(node: ast.stmt) -> bool:
    """Return whether a statement says something to people or to type checkers alone."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert | ast.Global | ast.Nonlocal | ast.Pass):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Expr) and _called(node.value) in LOGS:
        return True
    if isinstance(node, ast.If):
        names = {name.id for name in ast.walk(node.test) if isinstance(name, ast.Name)}
        return bool(names & {"TYPE_CHECKING", "__name__"})
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    return False


def _called(node: ast.expr) -> str | None:
    """Return the name whose attribute is called: `log` of `log.warning(…)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return node.func.value.id
    return None


def _is_effect(node: ast.stmt, rebound: set[str]) -> bool:
    """Return whether a statement can be left out without a name missing."""
    if isinstance(node, ast.Expr):
        return True
    if isinstance(node, ast.Assign):
        return all(
            isinstance(target, ast.Attribute | ast.Subscript) or (isinstance(target, ast.Name) and target.id in rebound)
            for target in node.targets
        )
    return False


def _rebound(function: Function) -> set[str]:
    """Return the names that a function gives a value more than once, its parameters among them."""
    names = [argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)]
    names += [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {name for name in names if names.count(name) > 1}


def _is_text_or_type(node: ast.expr) -> bool:
    """Return whether an operand is text, or a type of a union."""
    if isinstance(node, ast.BinOp):
        return _is_text_or_type(node.left) or _is_text_or_type(node.right)
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, str | bytes)
    if isinstance(node, ast.Name):
        return node.id[0].isupper() or node.id in {
            "int",
            "float",
            "str",
            "bool",
            "bytes",
            "list",
            "tuple",
            "dict",
            "set",
        }
    return isinstance(node, ast.JoinedStr)
