"""Artifacts of strangers in a child process: what takes too much, hangs, crashes or talks nonsense is one error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import ExportError
from cnncli.serving.child import Child, Limits
from tests.serving.onnx_bombs import BOMBS, save

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)

CHILD = """
import json, mmap, os, signal, sys, time
asked, answers = sys.stdin.buffer, sys.stdout.buffer
def say(document, content=b""):
    answers.write(json.dumps(document).encode() + b"\\n" + content)
    answers.flush()
say({"ready": True})
asked.readline()
"""
OPENED = 'say({"description": "d"})\nasked.readline()\n'
ANSWER = 'say({"outputs": [["p", "float32", SHAPE]]}, bytes(40))\ntime.sleep(9)\n'


@pytest.fixture
def child(tmp_path: Path) -> Callable[[str], Child]:
    """Return a function that starts a child which does what a piece of Python says when it is to open the file."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"network")
    return lambda code: Child("onnx", path, [sys.executable, "-c", CHILD + code])


def ask(child: Child) -> None:
    """Open a child's file, and ask it about some images."""
    child.open()
    child.compute(IMAGES)


def test_answers_come_through(child: Callable[[str], Child]) -> None:
    """The child's description, and its arrays under their names."""
    asked = child(OPENED + ANSWER.replace("SHAPE", "[5, 2]"))
    assert asked.open() == "d"
    ((name, array),) = asked.compute(IMAGES)
    assert (name, array.shape, array.dtype) == ("p", (5, 2), np.float32)


@linux
def test_too_much_memory(child: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that takes more than the limit is killed; the error names the limit and how to raise it."""
    monkeypatch.setenv("CNN_ARTIFACT_GB", "0.1")
    # Shared pages, which the kernel's own limit does not count.
    taking = "pages = mmap.mmap(-1, 300_000_000)\nfor i in range(0, 300_000_000, 4096): pages[i] = 1\ntime.sleep(99)"
    with pytest.raises(ExportError, match=r"net\.onnx took more than 0\.1 GB") as error:
        child(taking).open()
    assert "CNN_ARTIFACT_GB=" in str(error.value.hint)


@linux
def test_memory_at_one_stroke(child: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be taken between two looks, the kernel refuses."""
    monkeypatch.setenv("CNN_ARTIFACT_GB", "0.1")
    taking = "try: bytearray(3_000_000_000)\nexcept MemoryError: say({'error': 'std::bad_alloc'})\ntime.sleep(99)"
    with pytest.raises(ExportError, match=r"net\.onnx took more than 0\.1 GB"):
        child(taking).open()


def test_too_much_time(child: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop without an end is ended, in the opening and in an answer."""
    monkeypatch.setenv("CNN_ARTIFACT_SECONDS", "0.5")
    for code in ("while True: pass", OPENED + "while True: pass"):
        asked = child(code)
        with pytest.raises(ExportError, match=r"net\.onnx did not answer within 0\.5 s") as error:
            ask(asked)
        assert "CNN_ARTIFACT_SECONDS=" in str(error.value.hint)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize(
    ("code", "how"), [("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"), ("os._exit(7)", "exit code 7")]
)
def test_a_crash(child: Callable[[str], Child], code: str, how: str) -> None:
    """A runtime that crashes leaves this process alive."""
    for before in ("", OPENED):
        asked = child(before + code)
        with pytest.raises(ExportError, match=rf"the runtime crashed on .*net\.onnx \({how}\)"):
            ask(asked)


@pytest.mark.parametrize(
    "answer",
    [
        "print('nonsense', flush=True)",
        "print('[' * 5000, flush=True)",
        "say([])",
        "say({'outputs': 5})",
        "say({'outputs': [['p', 'object', [5]]]})",
        "say({'outputs': [['p', 'float32', [10 ** 12]]]})",
        "say({'outputs': [['p', 'float32', [-1, 5]]]})",
        "say({'outputs': [['p', 'float32', ['5']]]})",
        "say({'outputs': [['p', 'float32', [5, 2]]]}, bytes(8))\nanswers.close()\nos._exit(0)",
    ],
)
def test_nonsense_is_not_believed(child: Callable[[str], Child], answer: str) -> None:
    """An answer that is none, of objects, or of another size than it says, is a crash."""
    asked = child(OPENED + answer)
    asked.open()
    with pytest.raises(ExportError, match="the runtime crashed on"):
        asked.compute(IMAGES)


def test_an_answer_for_other_images(child: Callable[[str], Child]) -> None:
    """Of five images, two rows are no answer."""
    asked = child(OPENED + ANSWER.replace("SHAPE", "[2, 5]"))
    asked.open()
    with pytest.raises(ExportError, match=r"its output 'p' has the shape \(2, 5\) for 5 images"):
        asked.compute(IMAGES)


def test_limits_grow_with_file_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large networks and large images may take more, up to a bound; a variable sets it for all."""
    small, large, images = Limits.of(10_000, 784), Limits.of(500_000_000, 2**18), Limits.of(10_000, 2**30)
    assert small.memory < 0.6e9
    assert small.seconds < 8
    assert large.memory > 2e9
    assert 60 < large.seconds < 70
    assert 4e9 < images.memory < 5e9
    monkeypatch.setenv("CNN_ARTIFACT_GB", "3")
    monkeypatch.setenv("CNN_ARTIFACT_SECONDS", "9")
    assert Limits.of(10**9, 10**9) == Limits(3e9, 9)
    monkeypatch.setenv("CNN_ARTIFACT_GB", "much")
    with pytest.raises(ExportError, match="CNN_ARTIFACT_GB is 'much'; expected a number"):
        Limits.of(1)


@linux
def test_what_the_child_may_not(tmp_path: Path, child: Callable[[str], Child]) -> None:
    """The real child's limits on files: none is written, none is left by a crash."""
    code = (
        "from cnncli.serving.runtimes import _limit\n_limit()\n"
        f"try: os.write(os.open({str(tmp_path / 'new')!r}, os.O_WRONLY | os.O_CREAT), b'x')\n"
        "except OSError as error: say({'description': str(error.errno)})\n"
    )
    assert child(code).open() == "27"


@pytest.fixture
def large(tmp_path: Path) -> Callable[[str], Child]:
    """Return a function that starts a child as TensorFlow's, which holds 300 MB before it opens a file."""
    path = tmp_path / "net.keras"
    path.write_bytes(b"network")
    held = CHILD.replace("say({", "held = bytearray(b'x') * 300_000_000\nsay({", 1)
    return lambda code: Child("keras", path, [sys.executable, "-c", held + code])


@linux
def test_what_tensorflow_holds_is_not_the_artifacts(
    large: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that is taken before the file is opened does not count; a refusal and a kill are one error."""
    monkeypatch.setenv("CNN_ARTIFACT_GB", "0.1")
    monkeypatch.setattr("cnncli.serving.child.TENSORFLOW_MEMORY", 0)
    monkeypatch.setattr("cnncli.serving.child.TENSORFLOW_PER_CORE", 0)
    assert large("more = bytearray(b'x') * 50_000_000\n" + OPENED).open() == "d"
    taking = "try: more = bytearray(b'x') * 9_000_000_000\nexcept MemoryError: say({'error': 'e', 'memory': True})"
    shared = "p = mmap.mmap(-1, 2**33)\nfor i in range(2**9): p[i << 24 : i + 1 << 24] = bytes(2**24)\ntime.sleep(99)"
    for code in (taking, shared):
        with pytest.raises(ExportError, match=r"net\.keras took more than 0\.1 GB of memory"):
            large(code).open()


@linux
def test_a_child_that_sleeps(large: Callable[[str], Child]) -> None:
    """TensorFlow asks for ten seconds for memory that it was refused: nobody waits for that. One that works may."""
    begun = time.monotonic()
    with pytest.raises(ExportError, match=r"net\.keras took more than 0\.5 GB of memory"):
        large("time.sleep(60)").open()
    assert time.monotonic() - begun < 60
    working = "for i in range(23):\n  time.sleep(0.1)\n  sum(range(300_000))\n"
    assert large(working + OPENED).open() == "d"


def test_errors_of_ours_come_through(large: Callable[[str], Child]) -> None:
    """What TensorFlow's child knows of an error, its hint included; a large file has more time."""
    with pytest.raises(ExportError, match=r"^what is wrong$") as error:
        large("say({'error': 'what is wrong', 'hint': 'what to do', 'known': True})").open()
    assert error.value.hint == "what to do"
    assert Limits.of(10**6, more_seconds=1).seconds == Limits.of(10**6).seconds + 1


def test_a_killed_child_leaves_no_file(large: Callable[[str], Child]) -> None:
    """Temporary files of a child that never ends go with it."""
    code = "import tempfile\nfile = tempfile.mkstemp()[1]\nsay({'description': file})\ntime.sleep(99)"
    child = large(code)
    file = child.open()
    assert file is not None
    assert Path(file).exists()
    del child
    assert not Path(file).parent.exists()


def test_modules_of_the_current_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A numpy.py that lies where the command is typed would run with the user's rights."""
    pytest.importorskip("onnxruntime")
    (tmp_path / "numpy.py").write_text("open('touched', 'w')", encoding="utf-8")
    (tmp_path / "net.onnx").write_bytes(b"no network")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match=r"its runtime cannot run net\.onnx"):
        Child("onnx", Path("net.onnx")).open()
    assert not (tmp_path / "touched").exists()


def test_the_child_answers_as_onnxruntime_does(tmp_path: Path) -> None:
    """The same numbers as in this process, batch after batch."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = save(BOMBS["none"], tmp_path / "net.onnx")
    asked = Child("onnx", path)
    assert json.loads(str(asked.open()))["name"] == "netä"
    session = runtime.InferenceSession(str(path))
    for images in (IMAGES, IMAGES[:2]):
        ((name, found),) = asked.compute(images)
        np.testing.assert_array_equal(found, session.run(["probabilities"], {"images": images})[0])
        assert name == "probabilities"


@linux
@pytest.mark.parametrize("name", ["width", "constant width"])
def test_an_onnx_file_of_great_width(tmp_path: Path, name: str) -> None:
    """A few hundred bytes that ask for 4 GB are refused them."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    asked = Child("onnx", save(BOMBS[name], tmp_path / "net.onnx"))
    with pytest.raises(ExportError, match=r"net\.onnx took more than 0\.5 GB"):
        ask(asked)


def test_an_onnx_file_without_the_output(tmp_path: Path) -> None:
    """A network that does not answer what its task wants is an error, not a missing key."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from cnncli.cli.artifact import open_artifact

    path = save(BOMBS["none"], tmp_path / "net.onnx")
    made = onnx.load(path)
    made.graph.output[0].name = made.graph.node[-1].output[0] = "others"
    onnx.save(made, path)
    artifact = open_artifact(path)
    with pytest.raises(ExportError, match=r"net\.onnx has no output probabilities; it has others"):
        artifact.outputs(IMAGES)
