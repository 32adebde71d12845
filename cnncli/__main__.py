"""The `cnn` command: every known error becomes a few lines and an exit code here."""

from __future__ import annotations

import os
import sys

from cnncli.errors import CnnError
from cnncli.interrupts import leave_from_here_on, raise_on_sigterm


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        raise_on_sigterm()
        from cnncli.cli.app import app

        app(prog_name="cnn")
    except CnnError as error:
        from cnncli.cli.console import print_error

        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    finally:
        # A signal in the interpreter's own last moments would print a traceback.
        leave_from_here_on()


if __name__ == "__main__":
    main()
