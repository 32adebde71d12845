"""TensorBoard's own server, which answers only requests to this machine: `python -m cnncli.cli.tensorboard_server`.

A page elsewhere can let its name lead to 127.0.0.1 once it has been opened (DNS rebinding); its script then may read
what a server there answers. The name that the browser asked for stands in the request's Host, and gives it away.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

HOSTS = ("127.0.0.1", "localhost", "::1")

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def only_from_here(app: WsgiApp) -> WsgiApp:
    """Return an application that refuses requests whose Host is not this machine."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not is_this_machine(environ.get("HTTP_HOST", "")):
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"This server answers only requests to 127.0.0.1 or localhost.\n"]
        return app(environ, start_response)

    return guarded


def is_this_machine(host: str) -> bool:
    """Say whether a Host header, with or without a port, names this machine."""
    try:
        return urlsplit(f"//{host}").hostname in HOSTS
    except ValueError:
        return False


def main() -> None:
    """Run TensorBoard with the arguments of the command line."""
    from absl import app
    from tensorboard import default, main_lib, program
    from tensorboard.plugins.base_plugin import FlagsError

    class Server(program.WerkzeugServer):  # type: ignore[misc]
        """Asks for the Host first."""

        def __init__(self, wsgi_app: WsgiApp, flags: Any) -> None:
            super().__init__(only_from_here(wsgi_app), flags)

    main_lib.global_init()
    board = program.TensorBoard(default.get_plugins(), server_class=Server)
    try:
        app.run(board.main, flags_parser=board.configure)
    except FlagsError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
