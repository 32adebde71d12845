"""Loading the examples while something else goes on: TensorFlow takes seconds to import."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cnncli.config.schema.schema import Config
from cnncli.datasets.load import load
from cnncli.datasets.scan import Watch
from cnncli.datasets.splits import Splits


def begin_loading(config: Config, watch: Watch) -> Callable[[], Splits]:
    """Begin to load a config's examples, and return a function that waits for them.

    A set that may have to be downloaded is loaded only then, in the main thread: Ctrl-C ends a download there.

    Args:
        config: The experiment.
        watch: Hears how many files of how many are measured.

    The returned function raises DataError as `load` does.
    """
    if config.data.path is None and config.data.source != "digits":
        return partial(load, config, watch=watch)
    pool = ThreadPoolExecutor(1, thread_name_prefix="loading")
    future = pool.submit(load, config, watch=watch)
    pool.shutdown(wait=False)
    return future.result
