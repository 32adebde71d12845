"""The `cnn` command: every known error becomes a few lines and an exit code here."""

from __future__ import annotations

import os
import sys

from cnncli.errors import CnnError


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from cnncli.cli.app import app

    try:
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


if __name__ == "__main__":
    main()
