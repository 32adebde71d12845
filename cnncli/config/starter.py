"""A commented config to begin with: what `cnn init` writes."""

from __future__ import annotations

from pathlib import Path

from cnncli.config import zoo
from cnncli.config.language.suggestions import suggestion
from cnncli.errors import CnnError
from cnncli.files import durable

STARTER = """\
# A first network. Check it: cnn check {file}. Inspect it: cnn summary {file}. Train it: cnn train {file}.
# For help in an editor, run `cnn schema > cnn.schema.json` and make this the first line of the file:
# yaml-language-server: $schema=cnn.schema.json
name: {name}
seed: 0                          # for everything random

data:
  source: digits                 # 1,797 digits that come with cnncli; or mnist, cifar10, folder, csv, npz, …
  # path: photos                 # for folder: one folder per class, or train/, val/, test/ with one folder per class
  image_size: [32, 32]           # height, width
  channels: 1                    # 1 for grey, 3 for colour
  validation: 0.1                # share of the training examples, or the name of a split
  augmentation:                  # training images only
    - RandomTranslation: {{height_factor: 0.1, width_factor: 0.1}}

model:
  blocks:                        # a named list of layers, used below like a layer
    conv:
      parameters: [filters]
      layers:
        - Conv2D: {{filters: $filters, kernel_size: 3, padding: same, use_bias: false}}
        - BatchNormalization: {{momentum: 0.9}}     # fast moving averages: an epoch has few steps
        - ReLU
  layers:                        # from the image to one number per class
    - conv: {{filters: 16}}
    - MaxPooling2D: {{pool_size: 2}}
    - conv: {{filters: 32}}
    - MaxPooling2D: {{pool_size: 2}}
    - conv: {{filters: 64}}
    - MaxPooling2D: {{pool_size: 2}}
    - conv: {{filters: 64}}
    - GlobalAveragePooling2D
    - Dropout: {{rate: 0.2}}
    - Dense: {{units: 10}}         # logits: no softmax, the loss expects logits

train:
  epochs: 20
  batch_size: 64
  optimizer: {{Adam: {{learning_rate: 1e-3}}}}
  schedule: {{CosineDecay: {{warmup_epochs: 1}}}}
  early_stopping: {{monitor: validation_accuracy, patience: 5}}
"""


def starter(name: str, file: str) -> str:
    """Return the text of a config to begin with.

    Args:
        name: Name of the experiment.
        file: File that its comments speak of.
    """
    return STARTER.format(name=name, file=file)


def write(file: Path, source: str | None = None) -> Path:
    """Write a config to begin with, and return its file.

    Args:
        file: File to write; one that exists is never touched.
        source: Network of the zoo to begin with; None for the commented starter.

    Raises:
        CnnError: If the file exists or cannot be written, or there is no such network.
    """
    return write_text(file, starter(name_of(file), file.name) if source is None else _from_zoo(source))


def write_text(file: Path, text: str) -> Path:
    """Write a new config, and return its file.

    Raises:
        CnnError: If the file exists or cannot be written.
    """
    require_new(file)
    try:
        durable.add_file(file, text)
    except OSError as error:
        raise CnnError(f"{file} cannot be written: {error.strerror}.") from None
    return file


def require_new(file: Path) -> None:
    """Refuse a file that exists, before anything is read for it.

    Raises:
        CnnError: If it does.
    """
    if file.exists() or file.is_symlink():
        raise CnnError(f"{file} already exists.", "Choose another name, or remove it first.")


def name_of(file: Path) -> str:
    """Return the name of an experiment that is called after a file."""
    letters = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in file.stem).lstrip("_-.")
    return letters[:100] or "experiment"


def _from_zoo(source: str) -> str:
    path = zoo.find(source)
    if path is None:
        near = suggestion(source, zoo.names())
        raise CnnError(f'The zoo has no network "{source}".{near}', "`cnn zoo` lists them.")
    return path.read_text(encoding="utf-8")
