"""What a page is asked with, and what is made of the answer; the runtimes themselves are for the engine's tests."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest

from cnncli.errors import ExportError
from cnncli.serving import web_page

ANSWERS = np.array([[0.25, 0.75], [1.0, 0.0]], "<f4")


class Runtime:
    """Stands where commands are started: notes them, and answers with the text given."""

    def __init__(self, said: str, code: int = 0, error: str = "") -> None:
        self.done = subprocess.CompletedProcess([], code, said, error)
        self.command: list[str] = []
        self.page = ""

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        """Note a command, and the page that it opens."""
        self.command = command
        if command[-1].startswith("file:"):
            self.page = Path(url2pathname(urlsplit(command[-1]).path)).read_text(encoding="utf-8")
        return self.done


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a page, on a machine that has a browser and no Node."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "chromium" else None)
    path = tmp_path / "net.html"
    path.write_text("<html>é</html>", encoding="utf-8")
    return path


def test_browser_is_asked(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page opens with a script behind it that holds the images, and what it writes are the probabilities."""
    runtime = Runtime(f"<body>ANSWER {base64.b64encode(ANSWERS.tobytes()).decode()} END</body>")
    monkeypatch.setattr(subprocess, "run", runtime)
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4, 1)
    assert (web_page.in_browser(page)(images)["probabilities"] == ANSWERS).all()
    assert runtime.command[0] == "/usr/bin/chromium"
    assert {"--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"} < set(runtime.command)
    assert runtime.page.startswith("<html>é</html>")
    assert base64.b64encode(images.tobytes()).decode() in runtime.page
    assert "[2, 3, 4, 1]" in runtime.page


def test_browser_without_an_answer(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that never wrote its answer is an error that names it."""
    monkeypatch.setattr(subprocess, "run", Runtime("<body></body>"))
    with pytest.raises(ExportError, match=r"net\.html: the browser returned no result"):
        web_page.in_browser(page)(np.zeros((1, 2, 2, 1), np.uint8))


@pytest.mark.parametrize(
    ("stderr", "message"),
    [("at x.js:1\nTypeError: a is not a function\nat y\n", "TypeError: a is not a function"), ("", "no message")],
)
def test_failing_javascript(page: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, message: str) -> None:
    """A runtime that fails is an error with the line of its output that names the mistake."""
    monkeypatch.setattr(subprocess, "run", Runtime("ANSWER  END", 1, stderr))
    with pytest.raises(ExportError) as caught:
        web_page.in_browser(page)(np.zeros((1, 2, 2, 1), np.uint8))
    assert caught.value.message == f"{page}: its JavaScript fails: {message}"


@pytest.mark.parametrize("there", [(), ("node",), ("nodejs",), ("chromium",), ("msedge",), ("node", "chromium")])
def test_what_runs_a_page(there: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Node or a browser is enough; without either the error says so, and what to install."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in there else None)
    error = web_page.absent()
    if there:
        assert error is None
    else:
        assert error is not None
        assert error.message == (
            "verifying a page requires running it, and neither node nor a Chromium browser was found"
        )
        assert error.hint == "Install Node.js."
