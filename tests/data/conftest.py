"""A local HTTP server with scripted answers, and a tiny VOC devkit."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# (status, body, number of its bytes that are sent before the connection closes, headers); only the status is required
Answer = tuple
RESUME = 0  # as a status: 206 and the bytes of body that the request's Range asks for


def send_answer(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", num_sent: int | None = None, headers=()
) -> None:
    headers = dict(headers)
    if status == RESUME:
        start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        status, body = 206, body[start:]
    handler.send_response(status)
    for key, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(key, value)
    handler.end_headers()
    handler.wfile.write(body[:num_sent])


@dataclass
class Server:
    answers: list[Answer]  # one per request; the last one is repeated
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)  # the Range header of each request


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """A function that starts a server with the given answers."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running: list[ThreadingHTTPServer] = []

    def start(*answers: Answer) -> Server:
        server = Server(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.ranges.append(self.headers["Range"])
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                send_answer(self, *answer)

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
    """<tmp>/VOCdevkit/VOC2009 with images a, b (train) and c (val), 8 x 6 pixels, and their masks. It has no problems."""
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
