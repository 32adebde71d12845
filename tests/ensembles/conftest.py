"""Runs with random weights, as members of ensembles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLAIN = """
name: plain
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  layers:
    - Normalization
    - Conv2D: {filters: 4, kernel_size: 3}
    - BatchNormalization
    - Repeat: {times: 2, layers: [{Conv2D: {filters: 4, kernel_size: 3, padding: same, name: inner}}, ReLU]}
    - Flatten
    - Dropout: {rate: 0.2}
    - Dense: {units: 10, activation: softmax}
"""
BRANCHED = """
name: branched
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  blocks:
    down: {parameters: [filters], layers: [{Conv2D: {filters: $filters, kernel_size: 3, strides: 2, padding: same}}]}
  layers:
    - Residual: {layers: [{Conv2D: {filters: 1, kernel_size: 3, padding: same, activation: relu}}]}
    - Parallel: [[{down: {filters: 2}}], [{MaxPooling2D: {pool_size: 2}}, {down: {filters: 3}}, {UpSampling2D: {}}]]
    - Resizing: {like: input, name: back}
    - GlobalAveragePooling2D
    - Dense: {units: 10, use_bias: false}
    - Softmax
"""
COARSE = """
name: coarse
task: segmentation
data: {source: digit_scenes, image_size: [16, 24], channels: 3, validation: 0.15}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same, name: down}
    - Conv2D: {filters: 11, kernel_size: 1, name: out}
    - Conv2D: {filters: 11, kernel_size: 3, padding: same, inputs: down, name: extra}
  outputs: {mask: out, other: extra}
"""
FINE = """
name: fine
task: segmentation
data: {source: digit_scenes, image_size: [16, 24], channels: 3, validation: 0.15}
model:
  layers:
    - Conv2D: {filters: 11, kernel_size: 3, padding: same}
"""
NETS = {"plain": PLAIN, "branched": BRANCHED, "coarse": COARSE, "fine": FINE}


@pytest.fixture(scope="session")
def make_member() -> Callable[..., Any]:
    """Return a function that makes a run of one of `NETS` with random weights: name, folder of runs, `--set` texts."""

    def make(name: str, runs_dir: Path, *overrides: str) -> Any:
        import numpy as np

        from cnncli.config.dump import dump
        from cnncli.config.load import loads
        from cnncli.datasets import load as load_splits
        from cnncli.engine.network.model import build
        from cnncli.engine.network.variables import model_variables
        from cnncli.engine.runtime import configure
        from cnncli.runs.run import Run

        config = loads(NETS[name], overrides=overrides)
        configure(config)
        generator = np.random.default_rng(config.seed)
        arrays = {key: np.asarray(variable) for key, variable in model_variables(build(config)).items()}
        for key, array in arrays.items():
            if array.dtype == np.float32:
                # Large enough for networks that are sure of themselves: their logarithms are far apart.
                drawn = generator.normal(0, 3 / np.sqrt(max(array[..., 0].size, 9)), array.shape)
                arrays[key] = (1 + np.abs(drawn) if "variance" in key else drawn).astype(np.float32)
        run = Run.create(runs_dir, config.name, dump(config), {"metrics": config.task_spec.metrics_json()})
        run.checkpoints.save(7, arrays, {}, best=True)
        run.write_sealed(run.data_file, load_splits(config).passport)
        run.update(status="done")
        return run

    return make
