"""What tests of commands have in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncli.cli.app import app
from cnncli.cli.console import err, out, print_error
from cnncli.errors import CnnError


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Return a function that runs a command in 80 columns without colours and checks its exit code.

    It returns what the command prints on stdout and stderr.
    """
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str, expect: int = 0) -> tuple[str, str]:
        out.cache_clear()
        err.cache_clear()
        capsys.readouterr()
        code = 0
        try:
            app(list(arguments), prog_name="cnn")
        except CnnError as error:
            print_error(error)
            code = error.exit_code
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        assert code == expect, printed.err
        return printed.out, printed.err

    return run
