"""Differences of experiments as sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import fill

from cnncli.runs.effects import BOTH, Effect, Effects

SIGNIFICANT = 0.05
SMALLEST = 1e-4
"""Smaller p-values are told as smaller: so far out, no one knows whether the scores are distributed as assumed."""

_WHOLE = re.compile(r"p [=<] [\d.e-]+(?: \[[^]]*\])?|95 % interval|[\d.]+ points|over [\d,]+")
"""What stays on one line."""


def effect_paragraphs(found: Effects, width: int) -> Iterator[str]:
    """Yield a sentence for each effect, then what must be known of them, both wrapped to a width."""
    sentences = [_sentence(effect, len(found.effects) > 1) for effect in found.effects]
    for part in (sentences, [*_correction(found), *found.notes]):
        if part:
            yield "\n".join(_wrapped(text, width) for text in part) + "\n"


def _wrapped(text: str, width: int) -> str:
    """Return a sentence in lines that do not part a number from what it belongs to."""
    whole = _WHOLE.sub(lambda found: found[0].replace(" ", "\u00a0"), text)
    return fill(whole, width, break_on_hyphens=False).replace("\u00a0", " ")


def _correction(found: Effects) -> Iterator[str]:
    """Yield what the correction for the number of effects is, where there are several."""
    tested = sum(effect.found.p_value is not None for effect in found.effects)
    if tested > 1:
        yield (
            f"p is corrected for {tested} comparisons by Holm's method, the value before it in brackets; each interval "
            "is for its own comparison alone."
        )


def _sentence(effect: Effect, is_corrected: bool) -> str:
    found = effect.found
    if found.value == 0:
        return f"{effect.first} and {effect.second} are equal in {_named(effect)}, on average over {_over(effect)}."
    # The better one is the subject, and all numbers are by how much it is better.
    is_second = (found.value > 0) == effect.higher_is_better
    better, worse = (effect.second, effect.first) if is_second else (effect.first, effect.second)
    sign = 1 if found.value > 0 else -1
    lead = f"{_amount(effect, sign * found.value)} of {_named(effect)}"
    interval = ""
    if found.interval is not None:
        low, high = sorted(sign * end for end in found.interval)
        interval = f", 95 % interval {_number(effect, low)} to {_number(effect, high)}"
    over = f", over {_over(effect)}"
    if found.p_value is None or effect.p_holm is None:
        return f"{better} is ahead of {worse} by {lead}{over}; no test, for the scores do not vary."
    before = f" [{_p(found.p_value)}]" if is_corrected else ""
    test = f" (p {_p(effect.p_holm, '= ')}{before}, {found.test})"
    if effect.p_holm < SIGNIFICANT:
        return f"{better} is better than {worse} by {lead}{interval}{over}{test}."
    return f"No difference is shown: {better} is ahead of {worse} by {lead}{interval}{over}{test}."


def _named(effect: Effect) -> str:
    return effect.metric.replace("_", " ")


def _amount(effect: Effect, value: float) -> str:
    """Return a difference with its unit: percentage points of a share."""
    return _number(effect, value) + (" points" if effect.is_share else "")


def _number(effect: Effect, value: float) -> str:
    text = f"{100 * value:.2f}" if effect.is_share else f"{value:.4g}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")


def _over(effect: Effect) -> str:
    first, second = effect.n
    what = "pairs of seed and fold" if effect.over == BOTH else effect.over
    return f"{first} {what}" if first == second else f"{first} and {second} {what}"


def _p(value: float, equals: str = "") -> str:
    return f"< {SMALLEST:.4f}" if value < SMALLEST else f"{equals}{value:.2g}"
