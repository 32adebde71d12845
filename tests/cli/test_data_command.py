"""`cnn data` and `cnn check --data`: what they print, their documents and their exit codes."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cnncli.cli import console
from cnncli.cli.app import app
from cnncli.datasets import cache
from cnncli.datasets.store import Folder

CONFIG = """
name: pets
data: {source: folder, path: images, image_size: [8, 8], channels: 3, validation: 0.0}
model: {layers: [Flatten, {Dense: {units: 2}}]}
"""


@pytest.fixture(autouse=True)
def pets(tmp_path, monkeypatch):
    """Work in a folder with a config and a small set of images; the cache is the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "pets.yaml").write_text(CONFIG, encoding="utf-8")
    generator = np.random.default_rng(0)
    for folder, count in {"train/cat": 12, "train/dog": 3, "test/dog": 2}.items():
        (tmp_path / "images" / folder).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (6, 9, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / folder / f"{number}.png")
    return tmp_path


def run(*arguments):
    """Run a command in this process."""
    for made in (console.out, console.err):
        made.cache_clear()
    return CliRunner().invoke(app, arguments)


def test_the_table():
    """Classes by split with bars, totals, and what was found."""
    result = run("data", "pets.yaml")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "pets: 17 images of 2 classes from folder images"
    assert lines[2:8] == [
        "Class  Train                Test",
        "──────────────────────────────────────────────",
        "cat       12  ████████████     0",
        "dog        3  ███              2  ████████████",
        "──────────────────────────────────────────────",
        "Total     15                   2",
    ]
    assert "Sizes          6 × 9" in result.stdout
    assert "W404" in result.stderr


def test_the_document():
    """With --json the passport and its problems are one document, alone on stdout."""
    result = run("data", "pets.yaml", "--json")
    found = json.loads(result.stdout)
    assert found["classes"] == ["cat", "dog"]
    assert found["counts"] == {"train": {"cat": 12, "dog": 3}, "test": {"cat": 0, "dog": 2}}
    assert found["sizes"]["most_common"] == [{"size": [6, 9], "num_images": 17}]
    assert found["modes"] == {"RGB": 17}
    assert found["bad_files"] == []
    assert found["duplicates"]["across"] == {"train/test": {"num_images": 0, "examples": []}}
    assert [problem["code"] for problem in found["problems"]] == ["W404"]


def test_samples_are_drawn():
    """--samples writes a PNG and tells where; the document names it."""
    result = run("data", "pets.yaml", "--samples", "out/grid.png", "--json")
    assert json.loads(result.stdout)["samples"] == "out/grid.png"
    with Image.open("out/grid.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 100


def test_bad_files_end_with_1_after_the_passport(pets):
    """With on_bad_image error, the passport is printed all the same, and the exit code is 1."""
    (pets / "images/train/cat/torn.jpg").write_bytes(b"\xff\xd8\xff")
    result = run("data", "pets.yaml", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [bad["file"] for bad in found["bad_files"]] == ["train/cat/torn.jpg"]
    assert found["problems"][0]["code"] == "E401"
    assert run("data", "pets.yaml", "--json", "--set", "data.on_bad_image=skip").exit_code == 0


def test_check_with_data_looks_at_the_examples(pets):
    """Check --data adds what the examples tell to what the config tells; without it they are not opened."""
    shutil.copy(pets / "images/train/dog/0.png", pets / "images/test/dog/again.png")
    result = run("check", "pets.yaml", "--data", "--json")
    codes = {problem["code"] for problem in json.loads(result.stdout)["problems"]}
    assert {"W404", "W406"} <= codes
    assert "W406" not in {p["code"] for p in json.loads(run("check", "pets.yaml", "--json").stdout)["problems"]}


def test_check_without_data_says_what_it_did_not_look_at(pets):
    """Only with --data is nothing left open; a path that leads nowhere is a warning all the same."""
    result, read = run("check", "pets.yaml", "--set", "data.path=images/train"), run("check", "pets.yaml", "--data")
    assert result.stdout.startswith("pets.yaml: no problems\nThe data were not read. `cnn check --data` also checks")
    assert "not read" not in read.stdout
    assert "not read" not in run("check", "digits_lenet").stdout
    assert json.loads(run("check", "pets.yaml", "--json").stdout)["data_read"] is False
    assert json.loads(run("check", "pets.yaml", "--json", "--data").stdout)["data_read"] is True
    found = run("check", "pets.yaml", "--set", "data.path=photos")
    assert found.exit_code == 0
    assert "W411" in found.stdout
    assert "There are no examples on this machine: photos does not exist." in found.stdout


def test_a_fold_is_chosen_as_for_training(pets):
    """`cnn data --fold K` shows the split of `cnn train --fold K`; where there are no folds, it is said what to set."""
    shutil.copytree(pets / "images/train", pets / "flat")
    sets = ("--set", "data.path=flat", "--set", "data.folds=3")
    found = json.loads(run("data", "pets.yaml", "--fold", "3", *sets, "--json").stdout)
    assert found["num_examples"] == {"train": 10, "validation": 5}
    chosen = json.loads(run("data", "pets.yaml", "--set", "data.fold=3", *sets, "--json").stdout)
    assert found["split_hash"] == chosen["split_hash"]
    (problem,) = run("data", "pets.yaml", "--fold", "2").exception.problems
    assert "data.folds, the number of folds, is not set." in problem.message
    assert "--set data.folds=5" in problem.message


def test_the_head_must_fit_the_folder():
    """Outputs that are not as many as the folder's classes are an error at the last layer."""
    result = run("check", "pets.yaml", "--data", "--json", "--set", "model.layers[1].Dense.units=3")
    found = [p for p in json.loads(result.stdout)["problems"] if p["code"] == "E301"]
    assert found[0]["path"].startswith("model.layers[1]")
    assert result.exit_code == 1


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("command", ["train", "train --dry-run", "train --overfit-batch", "find-lr"])
def test_every_command_that_trains_wants_an_output_for_each_class(command, units, pets):
    """Whatever trains on the folder counts its classes first: fewer and more outputs are E301, and no run is made."""
    result = run(*command.split(), "pets.yaml", "--set", f"model.layers[1].Dense.units={units}")
    codes = [getattr(result.exception, "code", None)]
    codes += [problem.code for problem in getattr(result.exception, "problems", ())]
    assert "E301" in codes
    assert not list((pets / "runs").glob("*/*/run.json"))


def test_progress_is_reported_now_and_then(monkeypatch, capsys):
    """Where there is no terminal, a line tells how far the pass is, at most every ten seconds."""
    clock = iter([0.0, 5.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    tell = console.Count("measuring", "measured")
    for done in (1, 2, 3):
        tell(done, 3)
    assert capsys.readouterr().err == "measured 2 of 3 images\n"


def test_a_path_in_place_of_a_config():
    """A folder is shown as it is: its own splits, nothing held out, without a config or a network."""
    result = run("data", "images")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "images: 17 images of 2 classes from folder images"
    assert result.stdout.splitlines()[4:6] == [
        "cat       12  ████████████     0",
        "dog        3  ███              2  ████████████",
    ]
    assert "W404" in result.stderr
    assert "images  data" in result.stderr


def test_a_path_has_the_document_and_the_samples(pets):
    """Both as for a config; problems name the path and no line; `--set` changes how it is read."""
    (pets / "images/train/cat/torn.jpg").write_bytes(b"\xff\xd8\xff")
    result = run("data", "images/", "--json", "--samples", "grid.png")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["counts"]["train"] == {"cat": 12, "dog": 3}
    assert {(each["code"], each["file"], each["line"]) for each in found["problems"]} == {
        ("E401", "images", None),
        ("W404", "images", None),
    }
    with Image.open("grid.png") as image:
        assert image.format == "PNG"
    skipping = run("data", "images", "--json", "--set", "data.on_bad_image=skip", "--set", "data.validation=0.2")
    assert skipping.exit_code == 0
    assert json.loads(skipping.stdout)["num_examples"] == {"train": 12, "validation": 3, "test": 2}


def test_archives_and_arrays_by_their_paths(pets):
    """A .zip has the hash of its folder, an .npz its own arrays."""
    shutil.make_archive("images", "zip", "images")
    zipped, folder = (json.loads(run("data", name, "--json").stdout) for name in ("images.zip", "images"))
    assert zipped["content_hash"] == folder["content_hash"]
    np.savez("pixels.npz", x=np.zeros((3, 5, 4, 3), np.uint8), y=np.array([0, 1, 1]))
    found = json.loads(run("data", "pixels.npz", "--json").stdout)
    assert found["counts"] == {"train": {"0": 1, "1": 2}}
    assert found["sizes"]["largest"] == [5, 4]


def test_names_that_could_be_several_things(pets):
    """The zoo's network goes before a folder of its name, and so does the folder of a name's runs."""
    (pets / "digits_lenet" / "cat").mkdir(parents=True)
    assert json.loads(run("data", "digits_lenet", "--json").stdout)["source"] == "digits"
    run_folder = pets / "runs" / "pets" / "1"
    run_folder.mkdir(parents=True)
    (run_folder / "run.json").write_text('{"name": "pets", "started": "2026-01-01T00:00:00Z"}', encoding="utf-8")
    shutil.copy(pets / "pets.yaml", run_folder / "config.yaml")
    for reference in ("runs/pets", "runs/pets/1", "pets"):
        assert json.loads(run("data", reference, "--json").stdout)["path"] == "images", reference


def test_a_path_to_nothing_is_explained():
    """A missing archive names where relative paths begin; a folder without classes what is expected."""
    assert "does not exist" in run("data", "photos.zip").exception.message
    assert "relative path begins at" in run("data", "photos.zip").exception.hint
    assert "no class folders" in run("data", "images/train/cat").exception.message


def test_init_with_data_tells_what_it_found():
    """The file on stdout, what the images are and what to do next on stderr; not with a network of the zoo."""
    result = run("init", "new.yaml", "--data", "images")
    assert result.exit_code == 0, result.output
    assert result.stdout == "new.yaml\n"
    assert result.stderr.splitlines() == [
        "images: 15 images of 2 classes, in colour, usually 6×9.",
        "Check it: cnn check new.yaml. Train it: cnn train new.yaml.",
    ]
    assert run("check", "new.yaml").stdout.startswith("new.yaml: no problems\n")
    assert "use it without --from" in run("init", "x.yaml", "--data", "images", "--from", "lenet5").exception.message


def test_reading_everything_again(monkeypatch):
    """--rehash says of how many images the cache had something else; the document counts them."""
    monkeypatch.setattr("cnncli.datasets.stamps.MARGIN", 0)
    result = run("data", "images", "--rehash", "--json")
    expected = {"num_images": 17, "num_known": 0, "num_different": 0, "examples": []}
    assert json.loads(result.stdout)["rehash"] == expected
    assert "17 images read again; the cache knew 0 of them" in result.stderr
    result = run("data", "images", "--rehash")
    assert "17 images read again; the cache knew 17 of them, all as they are" in result.stderr
    identity = Folder(Path("images")).identity
    known = cache.load(identity, 3)
    known.facts.digests[3] += 1
    cache.save(identity, 3, known)
    result = run("data", "images", "--rehash")
    assert f"the cache knew 17 of them, 1 otherwise: {known.names[3]}" in result.stderr
    assert json.loads(run("data", "images", "--json").stdout)["rehash"] is None
