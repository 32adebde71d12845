"""The `cnn` command: every known error becomes a few lines and an exit code here."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from signal import SIGINT
from typing import NoReturn

from cnncli.cli.streams import OutputError, flush, forget_stdout, prepare
from cnncli.errors import CnnError
from cnncli.interrupts import leave_from_here_on, raise_on_signals, stop_signals


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        # Imports leave many objects and hardly any garbage; looking for it often took a tenth of the time.
        gc.set_threshold(200_000)
        raise_on_signals()
        # pydantic would look for plugins in the metadata of every package that is installed.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
        _run()
    except KeyboardInterrupt:
        _leave(128 + SIGINT)
    except SystemExit as end:
        if end.code in [128 + number for number in stop_signals()]:
            _leave(end.code)
        raise
    except BrokenPipeError:
        forget_stdout()  # The reader (`| head`) has gone.
        sys.exit(0)
    except (CnnError, OSError, MemoryError) as error:
        _end_with(error)
    finally:
        # A signal in the interpreter's own last moments would print a traceback.
        leave_from_here_on()


def _run() -> None:
    prepare()
    from cnncli.cli.app import app

    try:
        app(prog_name="cnn")
    except SystemExit:
        flush()
        raise


def _end_with(error: CnnError | OSError | MemoryError) -> NoReturn:
    """Print an error and end: a known one, or the system's refusal where nothing more is known of it."""
    from cnncli.cli.console import print_error

    try:
        flush()
    except OutputError as refused:
        error = error if isinstance(error, CnnError) else refused
    if isinstance(error, MemoryError):
        error = CnnError("there is not enough memory", "Close other programs, or raise the limit (`ulimit -v`).")
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        error = CnnError(f"{error.filename}: {reason}" if error.filename else reason)
    print_error(error)
    sys.exit(error.exit_code)


def _leave(code: int) -> NoReturn:
    """End the process without waiting for its threads: one that reads a large folder would be waited for."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
