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
        'A second ": " in this line.',
        'Put a string that contains ": " in quotes, or begin a new line for the next key.',
    ),
    (
        "could not find expected ':'",
        'A key is expected here, followed by ":".',
        'Write "key: value", with the same indentation for keys of one mapping.',
    ),
    ("found unexpected end of stream", "The quote that begins here is not closed.", "Write the closing quote."),
    (
        "expected ',' or ']'",
        'The list that begins with "[" here is not closed, or is missing a ",".',
        'Write "]" at its end and "," between its items; a string with one of ,[]{} needs quotes.',
    ),
    (
        "expected ',' or '}'",
        'The mapping that begins with "{" here is not closed, or is missing a ",".',
        'Write "}" at its end and "," between its keys; a string with one of ,[]{} needs quotes.',
    ),
    (
        "expected <block end>",
        "The indentation of this line matches nothing above it.",
        "Give keys of one mapping, and items of one list, the same indentation.",
    ),
    (
        "sequence entries are not allowed here",
        'A list item "- " cannot begin here.',
        "Begin a new line for the list, indented below its key.",
    ),
    (
        r"found character '\\t'",
        "A tab in the indentation; YAML is indented with spaces.",
        "Replace the tab with spaces.",
    ),
    (
        "found character '%'",
        'A string cannot begin with "%" without quotes.',
        "Put the string in quotes.",
    ),
    (r"found character '[@`]'", "A string cannot begin with @ or ` without quotes.", "Put the string in quotes."),
    (
        "found unknown escape character",
        'A backslash in "double quotes" begins an escape sequence, and this is not a valid one.',
        "Use 'single quotes' for a string with backslashes.",
    ),
    (
        "expected escape sequence",
        'A backslash in "double quotes" begins an escape sequence, and this is not a valid one.',
        "Use 'single quotes' for a string with backslashes.",
    ),
    ("expected the node content", "A value is missing before this character.", "Write the value, or quote the string."),
    ("found undefined tag handle", "Tags (!) are not allowed.", "Remove the tag."),
    ("found incompatible YAML", "Only YAML 1.x is supported.", "Remove the %YAML line."),
)
_AT_BEGIN = ("expected ',' or", "found unexpected end of stream", "could not find expected ':'")
_KNOWN = tuple((re.compile(pattern), message, hint) for pattern, message, hint in _ADVICE)
_INDENTATION = Advice(
    "This key is indented deeper than the previous one, which already has a value.",
    "Give keys of one mapping the same indentation.",
)
_REFERENCE = Advice("A reference ${…} inside braces or brackets must be quoted.", 'Write "${…}" in quotes.')


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
    return Advice(f"Invalid YAML: {complaint}.", None)
