"""What a YAML parser complains of, in words that say what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What to say of a complaint.

    Attributes:
        message: What is wrong.
        hint: What to do.
        at_begin: Whether the place to look at is where the construct began, not where reading stopped.
    """

    message: str
    hint: str | None
    at_begin: bool = False


_ADVICE: tuple[tuple[str, str, str | None], ...] = (
    (
        "mapping values are not allowed here",
        'A second ": " stands in this line.',
        'Put a text that contains ": " in quotes, or begin a new line for the next key.',
    ),
    (
        "could not find expected ':'",
        'A key is expected here, with a ":" behind it.',
        'Write "key: value", and the same indentation for keys of one mapping.',
    ),
    ("found unexpected end of stream", "The quote that begins here is not closed.", "Write the closing quote."),
    (
        "expected ',' or ']'",
        'The list that begins with "[" here is not closed, or a "," is missing in it.',
        'Write "]" at its end and "," between its items; a text with one of ,[]{} needs quotes.',
    ),
    (
        "expected ',' or '}'",
        'The mapping that begins with "{" here is not closed, or a "," is missing in it.',
        'Write "}" at its end and "," between its keys; a text with one of ,[]{} needs quotes.',
    ),
    (
        "expected <block end>",
        "The indentation of this line fits nothing above it.",
        "Give keys of one mapping, and items of one list, the same indentation.",
    ),
    (
        "sequence entries are not allowed here",
        'A list item "- " cannot begin here.',
        "Begin a new line for the list, indented below its key.",
    ),
    (
        r"found character '\\t'",
        "A tab stands here; YAML is indented with spaces.",
        "Replace the tab by spaces.",
    ),
    (
        "found character '%'",
        'A text cannot begin with "%".',
        "Put the text in quotes.",
    ),
    (r"found character '[@`]'", "A text cannot begin with @ or `.", "Put the text in quotes."),
    (
        "found unknown escape character",
        'A backslash in "double quotes" begins an escape, and this is none.',
        "Use 'single quotes' for a text with backslashes.",
    ),
    (
        "expected escape sequence",
        'A backslash in "double quotes" begins an escape, and this is none.',
        "Use 'single quotes' for a text with backslashes.",
    ),
    ("expected the node content", "A value is missing before this character.", "Write the value, or quote the text."),
    ("found undefined tag handle", "Tags (!) are not allowed.", "Leave the tag out."),
    ("found incompatible YAML", "This is not YAML 1.x.", "Leave the %YAML line out."),
)
_AT_BEGIN = ("expected ',' or", "found unexpected end of stream", "could not find expected ':'")
_KNOWN = tuple((re.compile(pattern), message, hint) for pattern, message, hint in _ADVICE)
_INDENTATION = Advice(
    "This key is indented deeper than the one before it, which has its value already.",
    "Give keys of one mapping the same indentation.",
)
_REFERENCE = Advice("A reference ${…} inside braces or brackets needs quotes.", 'Write "${…}" with the quotes.')


def advice(complaint: str, before: str) -> Advice:
    """Return a message and a hint for a complaint of the parser.

    Args:
        complaint: The text of the parser's error.
        before: The text up to where it stopped.
    """
    if complaint.startswith("expected ',' or") and before.endswith("$"):
        return _REFERENCE
    if complaint.startswith("mapping values are not") and ": " not in before:
        return _INDENTATION
    for pattern, message, hint in _KNOWN:
        if pattern.match(complaint):
            return Advice(message, hint, complaint.startswith(_AT_BEGIN))
    return Advice(f"YAML cannot be read here: {complaint}.", None)
