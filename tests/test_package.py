"""The package as users get it: what is in it, its version, and what the README says of installing it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from cnncli import __version__

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCKERFILE = re.findall(r"```dockerfile\n(.*?)```", README, re.DOTALL)
INSTRUCTIONS = {
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "LABEL",
    "RUN",
    "USER",
    "VOLUME",
    "WORKDIR",
}


def build(tree: Path, target: str, folder: Path) -> Path:
    """Build a package from a tree as `pip` does, without a network; return the file."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


def members(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by their names."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the sdist unpacked, and the wheel that is built from this tree."""
    folder = tmp_path_factory.mktemp("packages")
    with tarfile.open(build(ROOT, "sdist", folder / "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked, build(ROOT, "wheel", folder / "wheel")


@pytest.mark.needs("hatchling")
def test_the_sdist_builds_the_same_wheel(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """Every file of the two wheels is equal, byte by byte."""
    unpacked, wheel = packages
    assert members(build(unpacked, "wheel", tmp_path)) == members(wheel)


@pytest.mark.needs("hatchling")
def test_the_wheel_holds_the_tool_and_nothing_else(packages: tuple[Path, Path]) -> None:
    """All of the package and the zoo, with their licences; no tests, runs or caches."""
    found = set(members(packages[1]))
    inside = {str(path.relative_to(ROOT)) for path in (ROOT / "cnncli").rglob("*") if path.is_file()}
    expected = {name for name in inside if "__pycache__" not in name and not name.endswith((".pyc", ".pyo"))}
    expected |= {f"cnncli/zoo/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    assert {name for name in found if ".dist-info/" not in name} == expected
    info = f"cnncli-{__version__}.dist-info"
    licences = {"LICENSE", "cnncli/datasets/digits.LICENSE.txt"}
    assert found - expected == {
        *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
        *(f"{info}/licenses/{name}" for name in licences),
    }


@pytest.mark.needs("hatchling")
def test_the_sdist_holds_what_its_tests_need(packages: tuple[Path, Path]) -> None:
    """The tests and all that they read beside the package; no run and no data of the checkout."""
    found = {path.name for path in packages[0].iterdir()}
    tree = {".ci", "LICENSE", "README.md", "cnncli", "configs", "constraints.txt", "pyproject.toml", "tests"}
    assert found == {*tree, ".gitignore", "PKG-INFO"}


def test_the_changes_begin_with_this_version() -> None:
    """The first section of `cnn help changes` is of the version that `cnn --version` prints."""
    from cnncli.report.help_pages import written

    assert re.findall(r"^### (\S+)$", written()["changes"].body, re.MULTILINE)[0] == __version__


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the README's Dockerfile, each with what follows it."""
    (text,) = DOCKERFILE
    pairs = [line.partition(" ")[::2] for line in text.splitlines()]
    return [(name, rest) for name, rest in pairs]


def test_the_dockerfile_has_instructions_that_docker_knows() -> None:
    """Each line is one known instruction with something behind it; the lists of words are JSON."""
    lines = instructions()
    assert lines[0][0] == "FROM"
    for name, rest in lines:
        assert name in INSTRUCTIONS
        assert rest.strip()
        if name in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(word, str) for word in json.loads(rest))


def test_the_dockerfile_installs_as_the_readme_does() -> None:
    """Its Python is one that the package takes, its `pip install` the README's, its entry the package's own."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = instructions()
    version = re.fullmatch(r"python:3\.(\d+)-slim", lines[0][1])
    least, first_not = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    assert version is not None
    assert least <= int(version[1]) < first_not
    shown = re.search(r"\.venv/bin/(pip install .+?) &&", README)
    assert shown is not None
    assert ("RUN", shown[1]) in lines
    assert [json.loads(rest) for name, rest in lines if name == "ENTRYPOINT"] == [list(project["scripts"])]


def test_the_container_is_not_run_by_root_and_keeps_its_runs() -> None:
    """The user is another one from some line on; the volume is `runs` in the folder where `cnn` starts, and theirs."""
    lines = instructions()
    (user,) = (rest for name, rest in lines if name == "USER")
    (volume,) = (rest for name, rest in lines if name == "VOLUME")
    last_folder = [rest for name, rest in lines if name == "WORKDIR"][-1]
    assert user not in ("root", "0")
    assert volume == f"{last_folder}/runs"
    made = next(rest for name, rest in lines if name == "RUN" and "useradd" in rest)
    assert f"--owner={user} {volume}" in made
    assert lines.index(("RUN", made)) < lines.index(("USER", user))
    assert f":{volume} " in README  # The command beneath mounts it.
