"""A loopback HTTP server whose answers a test writes down, one per request, and a tiny devkit tree."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# (status, body, bytes of it that are sent before the connection drops, headers); the status alone must be there
Answer = tuple
REST = 0  # as a status: 206 and the rest of body, as the request's Range asks


def give(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", sent: int | None = None, headers=()) -> None:
    headers = dict(headers)
    if status == REST:
        start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        status, body = 206, body[start:]
    handler.send_response(status)
    for key, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(key, value)
    handler.end_headers()
    handler.wfile.write(body[:sent])


@dataclass
class Server:
    answers: list[Answer]  # the last one is given again and again
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)  # the Range header of each request


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running: list[ThreadingHTTPServer] = []

    def start(*answers: Answer) -> Server:
        server = Server(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.ranges.append(self.headers["Range"])
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                give(self, *answer)

            def log_message(self, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(http)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_port}/voc.tar"
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """<tmp>/VOCdevkit/VOC2009 with images a, b (train) and c (val), 8 x 6 pixels, and their masks. No fault in it."""
    root = tmp_path / "VOCdevkit" / "VOC2009"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name in "abc":
        noise = np.random.default_rng(ord(name)).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "JPEGImages" / f"{name}.jpg")
        mask = Image.fromarray(np.full((6, 8), 15, dtype=np.uint8))
        mask.putpalette([0, 0, 0] * 256)
        mask.save(root / "SegmentationClass" / f"{name}.png")
    for lists in ("Main", "Segmentation"):
        for split, ids in {"train": "ab", "val": "c", "trainval": "abc"}.items():
            (root / "ImageSets" / lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in ids))
    (root / "ImageSets" / "Main" / "person_train.txt").write_text("a  1\nb -1\n")
    return root
