"""A test that says what it needs is skipped where that is not there, and fails where that is required."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
TESTS = """
import pytest

@pytest.mark.needs("chromium")
def test_page(): pass

@pytest.mark.needs("litert", "chromium")
def test_both(): pytest.skip("for another reason")

def test_other(): pytest.skip("needs nothing")

def test_plain(): pass
"""


def run(folder: Path, browser: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tests of which two need a browser with this folder's conftest.py."""
    text = CONFTEST.read_text(encoding="utf-8")
    for name, there in (("chromium", browser), ("litert", True)):
        text += f"\nNEEDS[{name!r}] = (lambda: {there}, 'no {name} here')\n"
    (folder / "conftest.py").write_text(text, encoding="utf-8")
    (folder / "test_pages.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [*command, "-c", str(folder / "none.ini"), *arguments, str(folder)], capture_output=True, text=True, cwd=folder
    )


@pytest.mark.parametrize(
    ("browser", "arguments", "summary"),
    [
        (True, (), "2 passed, 2 skipped"),
        (False, (), "1 passed, 3 skipped"),
        (True, ("--require", "chromium"), "1 failed, 2 passed, 1 skipped"),
        (False, ("--require", "chromium"), "1 passed, 1 skipped, 2 errors"),
        (False, ("--require", "litert"), "1 passed, 2 skipped, 1 error"),
    ],
)
def test_skips_that_fail(tmp_path: Path, browser: bool, arguments: tuple[str, ...], summary: str) -> None:
    """Whatever skips a test that needs what is required, it fails, and says why it was skipped."""
    (tmp_path / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    done = run(tmp_path, browser, *arguments)
    assert summary in done.stdout.splitlines()[-1], done.stdout + done.stderr
    assert done.returncode == bool(arguments)
    assert ("no chromium here" in done.stdout) is not browser


def test_an_unknown_need_is_wrong_usage(tmp_path: Path) -> None:
    """A misspelt requirement would never fail."""
    (tmp_path / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    done = run(tmp_path, True, "--require", "chromum")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "chromum" in done.stderr
