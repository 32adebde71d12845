"""The tool from Python, as far as it needs no TensorFlow: names, configs, summaries."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType as Module
from typing import TYPE_CHECKING, Any

import pytest

import cnncli
from tests.test_floors import imports

if TYPE_CHECKING:
    from collections.abc import Callable


def test_names_that_programs_may_use_are_listed_in_one_place() -> None:
    """Each exists, `dir` shows these alone, and what is not listed is not there."""
    assert sorted(dir(cnncli)) == sorted(cnncli.__all__)
    assert all(getattr(cnncli, name) is not None for name in cnncli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cnncli.nothing


def test_every_public_name_of_the_package_is_listed() -> None:
    """What `cnncli.api` has without an underscore is what `cnncli` offers."""
    from cnncli import api

    public = {name for name, value in vars(api).items() if not name.startswith("_") and not isinstance(value, Module)}
    assert public == set(cnncli.__all__) - {"__version__", "CnnError", "ConfigError"}


def test_commands_and_programs_go_one_way() -> None:
    """What trains, measures, predicts, exports and draws is called by `cnncli.api` alone; the commands call that."""
    within = ("training.train", "evaluation.evaluate", "evaluation.predict", "exporting.export", "inspection.figures")
    callers = {f"cnncli.engine.{name}": set[str]() for name in within}
    for each in imports():
        if each.target in callers and not each.source.startswith("cnncli.engine."):
            callers[each.target].add(each.source.rpartition(".")[0])
    assert callers == {name: {"cnncli.api"} for name in callers}


def test_the_package_says_that_it_is_typed() -> None:
    """A type checker reads the annotations of an installed package only where this file is."""
    assert (Path(cnncli.__file__).parent / "py.typed").is_file()


def test_the_script_whose_types_are_checked_uses_every_name() -> None:
    """CI runs `mypy --strict` on it: each public name, and each of a run's methods and properties, is in it."""
    path = Path(__file__).with_name("user_script.py")
    used = {
        node.attr for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
    }
    assert used >= set(cnncli.__all__)
    for offered in (cnncli.Run, cnncli.Evaluation, cnncli.NetworkSummary, cnncli.Picture):
        assert used >= {name for name in vars(offered) if not name.startswith("_")}
    assert f"--strict cnncli tests/cli/{path.name}" in (path.parents[2] / ".ci" / "run").read_text(encoding="utf-8")


def test_configs_and_summaries_need_no_tensorflow() -> None:
    """They answer in a process in which it was never imported."""
    script = "import cnncli, sys; print(cnncli.summary('lenet5').total_params); sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "61706")


def test_a_config_comes_from_a_name_a_file_plain_data_or_a_config(tmp_path: Path) -> None:
    """All four give the same, with values to override."""
    from cnncli.config.load import load

    expected = load("digits_lenet", ["train.epochs=7", "data.path=null"])
    values: dict[str, Any] = {"train.epochs": 7, "data.path": None}
    named = cnncli.load("digits_lenet")
    file = tmp_path / "copied.yaml"
    from cnncli.config.dump import dump

    file.write_text(dump(named), encoding="utf-8")
    for source in ("digits_lenet", named, named.document, file, str(file)):
        assert cnncli.load(source, **values).document == expected.document
    assert cnncli.load(named) is named


def test_a_summary_is_the_command_s(invoke: Callable[..., Any]) -> None:
    """The same JSON, the same table, and Markdown for a notebook."""
    import json

    found = cnncli.summary("lenet5")
    assert found.to_json() == json.loads(invoke("summary", "lenet5", "--json")[0])
    assert repr(found).strip() == invoke("summary", "lenet5")[0].strip()
    assert found._repr_markdown_().startswith("### lenet5: 32×32×1 input")
    assert found.macs == 416_520


def test_errors_are_those_of_the_command() -> None:
    """A wrong key names the place and the nearest right one; a wrong picture and a missing run say what there is."""
    with pytest.raises(cnncli.ConfigError, match='Did you mean "epochs"'):
        cnncli.train("digits_lenet", **{"train.epoch": 3})
    with pytest.raises(cnncli.CnnError, match="no run"):
        cnncli.Run("missing", "nowhere")
