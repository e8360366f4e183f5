"""A local HTTP server of a folder's files."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@pytest.fixture
def serve_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder and returns its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running: list[ThreadingHTTPServer] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    def start(folder: Path) -> str:
        http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        running.append(http)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{http.server_port}"

    yield start
    for http in running:
        http.shutdown()
        http.server_close()
