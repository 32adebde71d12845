"""What holds for all tests: Ctrl-C is heard, golden texts are compared, a test says what it needs besides the package.

`@pytest.mark.needs("chromium")` skips a test where there is no Chromium. `pytest --require chromium` has such a test
fail instead of being skipped, for whatever reason: for machines where what it needs is known to be there.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# A shell that starts the tests in the background has them, and all that they start, ignore it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared" / "data"
IMPORTED_BY_COLLECTING: pytest.StashKey[frozenset[str]] = pytest.StashKey()
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSER_TIMEOUT = 120_000
"""Milliseconds after which a page is given up instead of hanging; a busy machine may need many."""

NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "chromium": (lambda: any(map(shutil.which, BROWSERS)), "Chromium is not installed"),
    "page-runtime": (lambda: any(map(shutil.which, ("node", *BROWSERS))), "neither Node nor Chromium is installed"),
    "playwright": (lambda: find_spec("playwright") is not None, "the package playwright is not installed"),
    "onnx": (lambda: find_spec("tf2onnx") is not None, "the extra onnx is not installed"),
    "litert": (lambda: find_spec("ai_edge_litert") is not None, "the extra litert is not installed"),
    "hatchling": (lambda: find_spec("hatchling") is not None, "the package hatchling is not installed"),
    "shared-data": (lambda: (SHARED / "mnist.npz").exists(), "there is no local copy of MNIST beside the checkout"),
}
"""What a test may need: whether it is there, and what is said where it is not."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--require`."""
    parser.addoption("--require", action="append", default=[], metavar="NEED", help="fail tests skipped for this need")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; refuse to require what no test can need.

    The collector is told to look for garbage less often: among the objects of TensorFlow and of thousands of tests that
    took an eighth of the engine's tests.
    """
    gc.set_threshold(10_000, 20, 20)
    config.addinivalue_line("markers", "needs(*names): skipped where one of them is not there; see tests/conftest.py")
    unknown = set(config.getoption("--require")) - NEEDS.keys()
    if unknown:
        raise pytest.UsageError(f"--require {', '.join(sorted(unknown))}: not one of {', '.join(NEEDS)}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what collecting the tests has imported, before any of them runs."""
    session.config.stash[IMPORTED_BY_COLLECTING] = frozenset(sys.modules)


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Return what imports a campaign or a benchmark by its path below tests/: "campaigns/bombs.py"."""

    def imported(place: str) -> ModuleType:
        path = Path(__file__).parent / place
        spec = spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[path.stem] = module  # Its dataclasses look for their module.
        spec.loader.exec_module(module)
        return module

    return imported


@pytest.fixture
def imported_by_collecting(pytestconfig: pytest.Config) -> frozenset[str]:
    """Return the names of all modules that were imported when the tests had been collected."""
    return pytestconfig.stash[IMPORTED_BY_COLLECTING]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with the one of that name in the folder `golden` beside the test.

    With `CNN_REGENERATE=1` the texts are written anew; read the difference before it is committed.
    """

    def compare(name: str, text: str) -> None:
        file = request.path.parent / "golden" / f"{name}.txt"
        text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
        if os.environ.get("CNN_REGENERATE"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start Chromium once a file: Playwright's event loop would be in the way of other files' own."""
    from playwright import sync_api

    sync_api.expect.set_options(timeout=BROWSER_TIMEOUT)
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=BROWSER_FLAGS, timeout=BROWSER_TIMEOUT)
        yield browser
        browser.close()


class Visits:
    """Pages opened from files, as by a double click, in contexts of their own.

    Attributes:
        said: What they wrote to the console, errors and dialogs.
        asked: The addresses that they asked for.
        files: The addresses of the files themselves.
    """

    def __init__(self, browser: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.files: set[str] = set()
        self._browser = browser
        self._contexts: list[Any] = []

    def open(self, file: Path, **settings: Any) -> Any:
        """Return the page of a file, in a context with Playwright's settings."""
        context = self._browser.new_context(**settings)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(BROWSER_TIMEOUT)
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.asked.append(request.url))
        self.files.add(file.as_uri())
        page.goto(file.as_uri())
        return page

    def close(self) -> None:
        """Close all pages; fails if one said anything, or asked for anything outside the files."""
        for context in self._contexts:
            context.close()
        assert self.said == []
        others = [url for url in self.asked if not url.startswith(("blob:", "data:"))]
        assert [url for url in others if url.partition("#")[0] not in self.files] == []


@pytest.fixture(scope="module")
def module_visits(chromium: Any) -> Iterator[Visits]:
    """Return what opens pages for all tests of a file."""
    visits = Visits(chromium)
    yield visits
    visits.close()


@pytest.fixture
def visits(chromium: Any) -> Iterator[Visits]:
    """Return what opens pages for one test."""
    visits = Visits(chromium)
    yield visits
    visits.close()


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a process as `subprocess.Popen` does; what still runs at the end is killed.

    A test that waits for a process in a `with` block would wait for ever where it fails before it has ended it.
    """
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        processes.append(subprocess.Popen(*arguments, text=True, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def keras_policy() -> Iterator[None]:
    """Give Keras's dtype policy back as it was: a training in bfloat16 sets it for its whole process.

    Which file comes after which in a process depends on the machine's pace.
    """
    yield
    keras = sys.modules.get("keras")
    if keras is not None and keras.config.dtype_policy().name != "float32":
        keras.config.set_dtype_policy("float32")


def needs_of(item: pytest.Item) -> Iterator[str]:
    """Yield the names of all that a test needs."""
    for marker in item.iter_markers("needs"):
        yield from marker.args


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test where something that it needs is not there."""
    for name in needs_of(item):
        is_there, reason = NEEDS[name]
        if not is_there():
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Have a test fail that was skipped though what it needs is required."""
    report = yield
    required = set(needs_of(item)) & set(item.config.getoption("--require"))
    if report.skipped and required:
        report.outcome = "failed"
        report.longrepr = f"skipped, but {', '.join(sorted(required))} is required: {report.longrepr}"
    return report
