"""Targets of batches, read and fitted beside the training: masks take about as long to decode as images do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets.targets import Targets

Batch = npt.NDArray[Any]


def targets_ahead(
    targets: Targets, data: Data, order: npt.NDArray[np.int32], batch_size: int, ahead: int
) -> Iterator[Batch]:
    """Yield the targets at `order`, in that order, `batch_size` at a time; the last batch may be smaller.

    Args:
        targets: Of the split.
        data: The size and fit of the images.
        order: Places in the split.
        batch_size: Examples of a batch.
        ahead: Batches that are made before they are asked for.

    Raises:
        DataError: As `Targets.fit`, when the batch is asked for.
    """
    # One at a time: each is fitted on all processors.
    pool = ThreadPoolExecutor(1, thread_name_prefix="targets")
    waiting: deque[Future[Batch]] = deque()
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size].astype(np.int64)
            waiting.append(pool.submit(_fitted, targets, data, rows))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fitted(targets: Targets, data: Data, rows: npt.NDArray[np.int64]) -> Batch:
    return targets.take(rows).fit(data)
