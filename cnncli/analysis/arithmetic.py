"""Sums of products and rounded quotients of whole numbers that can be computed, read and typeset."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


class Expression:
    """Something with a value."""

    __slots__ = ()

    @property
    def value(self) -> int:
        """What it comes to."""
        raise NotImplementedError

    def text(self) -> str:
        """Return it as a reader writes it: "3·16·5·5 + 16"."""
        raise NotImplementedError

    def latex(self) -> str:
        """Return it for LaTeX's math mode."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A whole number."""

    number: int

    @property
    def value(self) -> int:
        """The number."""
        return self.number

    def text(self) -> str:
        """Return its digits in groups of three."""
        return f"{self.number:,}"

    def latex(self) -> str:
        """Return its digits in groups of three."""
        return latex_number(self.number)


@dataclass(frozen=True, slots=True)
class Product(Expression):
    """Factors multiplied."""

    factors: tuple[Expression, ...]

    @property
    def value(self) -> int:
        """The product."""
        return prod(factor.value for factor in self.factors)

    def text(self) -> str:
        """Return the factors with dots between."""
        return "·".join(_bracketed(factor.text(), factor) for factor in self.factors)

    def latex(self) -> str:
        """Return the factors with dots between."""
        return r" \cdot ".join(_bracketed(factor.latex(), factor) for factor in self.factors)


@dataclass(frozen=True, slots=True)
class Sum(Expression):
    """Terms added, then terms subtracted."""

    plus: tuple[Expression, ...]
    minus: tuple[Expression, ...] = ()

    @property
    def value(self) -> int:
        """The sum."""
        return sum(term.value for term in self.plus) - sum(term.value for term in self.minus)

    def text(self) -> str:
        """Return the terms with signs between."""
        return "".join([" + ".join(t.text() for t in self.plus), *(f" − {t.text()}" for t in self.minus)])

    def latex(self) -> str:
        """Return the terms with signs between."""
        return "".join([" + ".join(t.latex() for t in self.plus), *(f" - {t.latex()}" for t in self.minus)])


@dataclass(frozen=True, slots=True)
class Floor(Expression):
    """A quotient, rounded down."""

    numerator: Expression
    denominator: Expression

    @property
    def value(self) -> int:
        """The largest whole number that is not above the quotient."""
        return self.numerator.value // self.denominator.value

    def text(self) -> str:
        """Return the quotient in floor brackets."""
        return f"⌊{_bracketed(self.numerator.text(), self.numerator)} / {self.denominator.text()}⌋"

    def latex(self) -> str:
        """Return the fraction in floor brackets."""
        return rf"\left\lfloor \frac{{{self.numerator.latex()}}}{{{self.denominator.latex()}}} \right\rfloor"


@dataclass(frozen=True, slots=True)
class Ceiling(Expression):
    """A quotient, rounded up."""

    numerator: Expression
    denominator: Expression

    @property
    def value(self) -> int:
        """The smallest whole number that is not below the quotient."""
        return -(-self.numerator.value // self.denominator.value)

    def text(self) -> str:
        """Return the quotient in ceiling brackets."""
        return f"⌈{_bracketed(self.numerator.text(), self.numerator)} / {self.denominator.text()}⌉"

    def latex(self) -> str:
        """Return the fraction in ceiling brackets."""
        return rf"\left\lceil \frac{{{self.numerator.latex()}}}{{{self.denominator.latex()}}} \right\rceil"


def product(*numbers: int) -> Expression:
    """Return the product of whole numbers."""
    return Number(numbers[0]) if len(numbers) == 1 else Product(tuple(map(Number, numbers)))


def latex_number(number: int) -> str:
    """Return a number's digits in groups of three, as LaTeX's math mode spaces them well."""
    return f"{number:,}".replace(",", "{,}")


def _bracketed(text: str, part: Expression) -> str:
    return f"({text})" if isinstance(part, Sum) and len(part.plus) + len(part.minus) > 1 else text
