"""The page a nurse and a reviewer use: its own process, which may die without the watch noticing.

FastAPI and uvicorn come with the `console` extra and are imported only when the page is served.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import FallwatchError, MissingExtraError
from device.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


class ConsoleError(FallwatchError):
    """The page cannot be served; the text says why and what to do."""


def create_app(folder: Path, settings: Settings) -> FastAPI:
    """The page over the store in `folder`, as an ASGI application; the store may appear later."""
    from device.console.app import build

    return build(folder, settings)


def address(settings: Settings) -> str:
    """Where the page is: http://127.0.0.1:8710/."""
    host = settings.console.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.console.port}/"


def serve(settings: Settings) -> int:
    """Serve the page until Ctrl+C or SIGTERM; 0 then. Raises ConsoleError in one sentence, MissingExtraError."""
    try:
        from device.console.server import serve_on
    except ModuleNotFoundError as error:
        raise MissingExtraError("console", error.name) from None
    folder = settings.store.path()
    try:
        listening = _listen(settings.console.host, settings.console.port)
    except OSError as error:
        raise ConsoleError(
            f"{address(settings)} cannot be opened ({error.strerror or error}); "
            "end the program that uses the port, or set another one under [console] port"
        ) from None
    with listening:
        print(f"console: {address(settings)} over {folder} (Ctrl+C ends it)", flush=True)
        serve_on(listening, folder, settings)
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
