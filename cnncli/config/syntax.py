"""What a YAML parser complains of, in words that say what to do."""

from __future__ import annotations

import re

_ADVICE: tuple[tuple[str, str, str | None], ...] = (
    (
        "mapping values are not allowed here",
        'A second ": " stands in this line.',
        'Put a text that contains ": " in quotes, or begin a new line for the next key.',
    ),
    (
        "could not find expected ':'",
        'A key ends here without a ":".',
        'Write "key: value", and the same indentation for keys of one mapping.',
    ),
    ("found unexpected end of stream", "A quoted text has no closing quote.", "Close the quote."),
    (
        "expected ',' or ']'",
        'A list that began with "[" goes on or ends here; expected "," or "]".',
        'Look for a missing "," or "]".',
    ),
    (
        "expected ',' or '}'",
        'A mapping that began with "{" goes on or ends here; expected "," or "}".',
        'Look for a missing "," or "}".',
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
_KNOWN = tuple((re.compile(pattern), message, hint) for pattern, message, hint in _ADVICE)


def advice(complaint: str) -> tuple[str, str | None]:
    """Return a message and a hint for what the parser said."""
    for pattern, message, hint in _KNOWN:
        if pattern.match(complaint):
            return message, hint
    return f"YAML cannot be read here: {complaint}.", None
