"""Downloads from a local server that breaks off, is busy, or sends wrong bytes."""

import errno
import hashlib
import socket
from pathlib import Path

import pytest

from vocctl.data import fetch as module
from vocctl.data.fetch import check_md5, fetch
from vocctl.errors import ConfigError, DataError, NetworkError, RunError, VocctlError

BODY = bytes(range(256)) * 4000  # 1,024,000 bytes: several blocks
MD5 = hashlib.md5(BODY).hexdigest()
SIZE, HALF = len(BODY), len(BODY) // 2
COMPLETE, CUT, RESUME = (200, BODY), (200, BODY, HALF), (0, BODY)  # answers: see conftest.py


def get(target: Path, *urls: str, md5: str | None = MD5, retries: int = 2, on_progress=None) -> None:
    fetch(urls, target, md5=md5, retries=retries, pause=0, timeout=5, on_progress=on_progress)


def message_of(error: VocctlError, target: Path) -> str:
    """The one-line message of an error that left no file at target."""
    assert not target.exists()
    assert "\n" not in str(error)
    return str(error)


def file_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_complete_download_leaves_only_the_file(serve, tmp_path):
    counts = []
    target = tmp_path / "in" / "voc.tar"
    get(target, serve(COMPLETE).url, on_progress=lambda done, total: counts.append((done, total)))
    assert target.read_bytes() == BODY
    assert file_names(tmp_path / "in") == ["voc.tar"]
    assert counts[-1] == (SIZE, SIZE)
    assert counts == sorted(counts)


def content_range(start: int, total: str = str(SIZE)) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{SIZE - 1}/{total}"}


NOTHING_LEFT = (416, b"", None, {"Content-Range": f"bytes */{SIZE}"})
CASES: dict[str, tuple[bytes, list[tuple], list[int | None]]] = {  # .part before, answers, first byte of each Range
    "cut half-way": (b"", [CUT, RESUME], [None, HALF]),
    "cut after 7 bytes": (b"", [(200, BODY, 7), RESUME], [None, 7]),
    "part of an earlier run": (BODY[:100], [RESUME], [100]),
    "corrupt part of an earlier run": (b"x" * 100, [RESUME, COMPLETE], [100, None]),
    "Range ignored": (b"", [CUT, COMPLETE], [None, HALF]),
    "other range than requested": (b"", [CUT, (206, BODY[7:], None, content_range(7)), COMPLETE], [None, HALF, None]),
    "total size unknown": (b"", [CUT, (206, BODY[HALF:], None, content_range(HALF, "*"))], [None, HALF]),
    "416: part is complete": (BODY, [NOTHING_LEFT], [SIZE]),
    "416: part is too long": (BODY + b"x", [NOTHING_LEFT, COMPLETE], [SIZE + 1, None]),
    "416: part is wrong": (b"x" * SIZE, [NOTHING_LEFT, COMPLETE], [SIZE, None]),
    "416 without a size": (BODY[:9], [(416,), COMPLETE], [9, None]),
}


@pytest.mark.parametrize(("part", "answers", "starts"), CASES.values(), ids=CASES.keys())
def test_interrupted_download_is_completed(serve, tmp_path, part, answers, starts):
    if part:
        (tmp_path / "voc.tar.part").write_bytes(part)
    server = serve(*answers)
    get(tmp_path / "voc.tar", server.url)
    assert server.ranges == [None if start is None else f"bytes={start}-" for start in starts]
    assert (tmp_path / "voc.tar").read_bytes() == BODY
    assert file_names(tmp_path) == ["voc.tar"]


def test_part_is_discarded_without_md5(serve, tmp_path):
    (tmp_path / "voc.tar.part").write_bytes(b"of another file")
    server = serve(COMPLETE)
    get(tmp_path / "voc.tar", server.url, md5=None)
    assert server.ranges == [None]
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_encoded_content_is_not_requested(serve, tmp_path):
    server = serve((200, BODY, None, {"Content-Encoding": "gzip"}))  # a server that claims so nevertheless
    get(tmp_path / "voc.tar", server.url)
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_wrong_bytes_move_on_to_the_next_address(serve, tmp_path):
    bad, good = serve((200, b"<html>a login page</html>")), serve(COMPLETE)
    get(tmp_path / "voc.tar", bad.url, good.url)
    assert len(bad.ranges) == 1  # a second try would bring the same bytes
    assert good.ranges == [None]
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_wrong_bytes_from_every_address_leave_no_file(serve, tmp_path):
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "voc.tar", serve((200, b"wrong")).url)
    message = message_of(caught.value, tmp_path / "voc.tar")
    assert "md5" in message
    assert "--archive" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_missing_file_is_requested_once(serve, tmp_path, status):
    bad, good = serve((status,)), serve(COMPLETE)
    get(tmp_path / "voc.tar", bad.url, good.url)
    assert len(bad.ranges) == 1
    assert (tmp_path / "voc.tar").read_bytes() == BODY


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_busy_server_is_retried(serve, tmp_path, status):
    server = serve((status, b"", None, {"Retry-After": "86400"}), (status,), COMPLETE)
    get(tmp_path / "voc.tar", server.url)
    assert len(server.ranges) == 3
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_error_names_the_reason_of_each_address(serve, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    busy, gone = serve((503,)), serve((404,))
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "voc.tar", f"http://127.0.0.1:{port}/voc.tar", busy.url, gone.url)
    message = message_of(caught.value, tmp_path / "voc.tar")
    for part in ("Connection refused", "HTTP 503 Service Unavailable", "HTTP 404 Not Found", "--url", "--archive FILE"):
        assert part in message
    assert (len(busy.ranges), len(gone.ranges)) == (3, 1)  # retries=2


def test_connection_that_always_breaks_off_keeps_the_part(serve, tmp_path):
    server = serve(CUT)  # ignores Range, so no try gets further than the first
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "voc.tar", server.url)
    assert f"closed after {HALF} of {SIZE} bytes" in message_of(caught.value, tmp_path / "voc.tar")
    assert (tmp_path / "voc.tar.part").stat().st_size == HALF
    assert len(server.ranges) == 3  # the first brought new bytes, but fewer than MIN_PROGRESS


def test_try_with_progress_does_not_use_up_a_retry(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MIN_PROGRESS", 1000)
    get(tmp_path / "voc.tar", serve((0, BODY, SIZE // 8)).url, retries=1)
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_silent_server_times_out(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/voc.tar"
        with pytest.raises(NetworkError) as caught:
            fetch([url], tmp_path / "voc.tar", md5=MD5, retries=0, timeout=0.1, pause=0)
    assert "timed out" in message_of(caught.value, tmp_path / "voc.tar")


def test_proxy_of_the_environment_is_used(serve, tmp_path, monkeypatch):
    proxy = serve(COMPLETE)
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/voc.tar"))
    get(tmp_path / "voc.tar", "http://voc.invalid/voc.tar")
    assert (tmp_path / "voc.tar").read_bytes() == BODY
    assert proxy.ranges == [None]


def test_redirects_lead_only_to_http(serve, tmp_path):
    good = serve(COMPLETE)
    get(tmp_path / "voc.tar", serve((302, b"", None, {"Location": good.url})).url)
    assert (tmp_path / "voc.tar").read_bytes() == BODY
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "other.tar", serve((302, b"", None, {"Location": (tmp_path / "voc.tar").as_uri()})).url)
    message_of(caught.value, tmp_path / "other.tar")


def test_correct_target_is_not_downloaded_again(serve, tmp_path):
    (tmp_path / "voc.tar").write_bytes(BODY)
    server = serve((404,))
    get(tmp_path / "voc.tar", server.url)
    assert server.ranges == []


@pytest.mark.parametrize(
    "url",
    ["ftp://host/a", "file:///etc/hostname", "host/a", "http://", "http://[::1", "http://h:x/a", "http://h/a b",
     "http://u:p@h/a"],
)  # fmt: skip
def test_only_http_addresses_are_accepted(tmp_path, url):
    with pytest.raises(ConfigError) as caught:
        get(tmp_path / "voc.tar", url)
    message_of(caught.value, tmp_path / "voc.tar")


def test_no_address(tmp_path):
    with pytest.raises(ConfigError, match="--url"):
        get(tmp_path / "voc.tar")


class FullDisk:
    """A file on a disk that is full after one block."""

    def __init__(self, path: Path, mode: str) -> None:
        self.file, self.num_blocks = open(path, mode), 0  # noqa: SIM115

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, block: bytes) -> None:
        self.num_blocks += 1
        if self.num_blocks > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.write(block)


def test_full_disk_keeps_the_part(serve, tmp_path, monkeypatch):
    server = serve(COMPLETE, RESUME)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: FullDisk(path, mode))
        with pytest.raises(RunError) as caught:
            get(tmp_path / "voc.tar", server.url)
    message = message_of(caught.value, tmp_path / "voc.tar")
    assert "is full: free space and run the command again (it resumes" in message
    part = (tmp_path / "voc.tar.part").read_bytes()
    assert part == BODY[: len(part)]
    assert 0 < len(part) < SIZE
    get(tmp_path / "voc.tar", server.url)  # after space was freed
    assert server.ranges == [None, f"bytes={len(part)}-"]
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_folder_that_cannot_be_created(serve, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as caught:
        get(tmp_path / "file" / "voc.tar", serve(COMPLETE).url)
    assert "\n" not in str(caught.value)


def test_check_md5(tmp_path):
    (tmp_path / "voc.tar").write_bytes(BODY)
    check_md5(tmp_path / "voc.tar", MD5)
    with pytest.raises(DataError, match="md5"):
        check_md5(tmp_path / "voc.tar", MD5[::-1])
    with pytest.raises(DataError, match="is not a file"):
        check_md5(tmp_path / "other.tar", MD5)
