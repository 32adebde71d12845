"""What an exported network returns: the outputs of its task, by their names."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

NamedOutputs = Mapping[str, npt.NDArray[Any]]
"""For a batch of images, an array (images, …) for each name; see `TaskSpec.output_names`."""
