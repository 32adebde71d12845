"""What C++ libraries say on stderr is held back, unless they fail."""

from __future__ import annotations

import os

import pytest

from cnncli.serving.quiet import quiet


def free_descriptor() -> int:
    """Return the lowest number that the next open file would get."""
    number = os.dup(2)
    os.close(number)
    return number


def test_greetings_are_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    """What is written meanwhile never comes; what is written before and after does, and no file stays open."""
    free = free_descriptor()
    os.write(2, b"before;")
    with quiet():
        os.write(2, b"greeting;")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before;after"
    assert free_descriptor() == free


def test_last_words_are_let_out(capfd: pytest.CaptureFixture[str]) -> None:
    """Where the block fails, all of it is heard, once."""

    def fail() -> None:
        with quiet():
            os.write(2, b"cannot load;")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    os.write(2, b"after")
    assert capfd.readouterr().err == "cannot load;after"
