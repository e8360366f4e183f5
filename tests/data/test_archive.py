"""Fetching from a loopback server that misbehaves, and unpacking tars that nobody should trust."""

import errno
import hashlib
import io
import socket
import tarfile
from pathlib import Path

import pytest

from vocctl.data import archive
from vocctl.data.archive import check_md5, fetch, unpack
from vocctl.errors import ConfigError, DataError, NetworkError, RunError, VocctlError

BODY = bytes(range(256)) * 4000  # 1,024,000 bytes: several blocks
MD5 = hashlib.md5(BODY).hexdigest()
SIZE, HALF = len(BODY), len(BODY) // 2
WHOLE, CUT, REST = (200, BODY), (200, BODY, HALF), (0, BODY)  # answers: see conftest.py


def get(target: Path, *urls: str, md5: str | None = MD5, retries: int = 2, on_bytes=None) -> None:
    fetch(urls, target, md5=md5, retries=retries, pause=0, timeout=5, on_bytes=on_bytes)


def refused(error: VocctlError, target: Path) -> str:
    """The one line of an error that left nothing that looks whole."""
    assert not target.exists()
    assert "\n" not in str(error)
    return str(error)


def test_whole_file_arrives_and_nothing_else_stays(serve, tmp_path):
    seen = []
    get(
        tmp_path / "in" / "voc.tar",
        serve(WHOLE).url,
        on_bytes=lambda done, total: seen.append((done, total)),
    )
    assert (tmp_path / "in" / "voc.tar").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["voc.tar"]
    assert seen[-1] == (SIZE, SIZE)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def span(start: int, total: str = str(SIZE)) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{SIZE - 1}/{total}"}


STORIES: dict[str, tuple[bytes, list[tuple], list[int | None]]] = {  # .part before, answers, Range of each request
    "dropped half-way goes on": (b"", [CUT, REST], [None, HALF]),
    "dropped at 7 bytes, too": (b"", [(200, BODY, 7), REST], [None, 7]),
    "a part of an earlier run": (BODY[:100], [REST], [100]),
    "a damaged part of an earlier run": (b"x" * 100, [REST, WHOLE], [100, None]),
    "Range ignored": (b"", [CUT, WHOLE], [None, HALF]),
    "another range than asked for": (b"", [CUT, (206, BODY[7:], None, span(7)), WHOLE], [None, HALF, None]),
    "no size of the whole": (b"", [CUT, (206, BODY[HALF:], None, span(HALF, "*"))], [None, HALF]),
    "416: whole already": (BODY, [(416, b"", None, {"Content-Range": f"bytes */{SIZE}"})], [SIZE]),
    "416: part is too long": (
        BODY + b"x",
        [(416, b"", None, {"Content-Range": f"bytes */{SIZE}"}), WHOLE],
        [SIZE + 1, None],
    ),
    "416: part is wrong": (b"x" * SIZE, [(416, b"", None, {"Content-Range": f"bytes */{SIZE}"}), WHOLE], [SIZE, None]),
    "416 without a size": (BODY[:9], [(416,), WHOLE], [9, None]),
}


@pytest.mark.parametrize(("part", "answers", "starts"), STORIES.values(), ids=STORIES.keys())
def test_interrupted(serve, tmp_path, part, answers, starts):
    if part:
        (tmp_path / "voc.tar.part").write_bytes(part)
    server = serve(*answers)
    get(tmp_path / "voc.tar", server.url)
    assert server.ranges == [None if start is None else f"bytes={start}-" for start in starts]
    assert (tmp_path / "voc.tar").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["voc.tar"]


def test_without_md5_an_earlier_part_is_not_trusted(serve, tmp_path):
    (tmp_path / "voc.tar.part").write_bytes(b"of another file")
    server = serve(WHOLE)
    get(tmp_path / "voc.tar", server.url, md5=None)
    assert server.ranges == [None]
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_wrong_bytes_are_deleted_and_the_next_address_is_tried(serve, tmp_path):
    bad, good = serve((200, b"<html>a login page</html>")), serve(WHOLE)
    get(tmp_path / "voc.tar", bad.url, good.url)
    assert len(bad.ranges) == 1  # a second try would bring the same
    assert good.ranges == [None]
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_wrong_bytes_everywhere_leave_nothing(serve, tmp_path):
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "voc.tar", serve((200, b"wrong")).url)
    message = refused(caught.value, tmp_path / "voc.tar")
    assert "md5" in message
    assert "--archive" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_missing_file_is_not_asked_for_twice(serve, tmp_path, status):
    bad, good = serve((status,)), serve(WHOLE)
    get(tmp_path / "voc.tar", bad.url, good.url)
    assert len(bad.ranges) == 1
    assert (tmp_path / "voc.tar").read_bytes() == BODY


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(serve, tmp_path, status):
    server = serve((status,), (status,), WHOLE)
    get(tmp_path / "voc.tar", server.url)
    assert len(server.ranges) == 3
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_all_addresses_fail_and_the_line_says_how(serve, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    busy, gone = serve((503,)), serve((404,))
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "voc.tar", f"http://127.0.0.1:{port}/voc.tar", busy.url, gone.url)
    message = refused(caught.value, tmp_path / "voc.tar")
    for said in ("Connection refused", "HTTP 503 Service Unavailable", "HTTP 404 Not Found", "--url", "--archive FILE"):
        assert said in message
    assert (len(busy.ranges), len(gone.ranges)) == (3, 1)  # retries=2


def test_always_dropped_ends_and_keeps_the_part(serve, tmp_path):
    server = serve(CUT)  # ignores Range, so no try gets further than the first
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "voc.tar", server.url)
    assert f"closed after {HALF} of {SIZE} bytes" in refused(caught.value, tmp_path / "voc.tar")
    assert (tmp_path / "voc.tar.part").stat().st_size == HALF


def test_a_try_that_gains_does_not_use_up_retries(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "GAIN", 1000)

    get(tmp_path / "voc.tar", serve((0, BODY, SIZE // 8)).url, retries=1)
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_silent_server_times_out(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/voc.tar"
        with pytest.raises(NetworkError) as caught:
            fetch([url], tmp_path / "voc.tar", md5=MD5, retries=0, timeout=0.1, pause=0)
    assert "timed out" in refused(caught.value, tmp_path / "voc.tar")


def test_redirects_are_followed_to_http_alone(serve, tmp_path):
    good = serve(WHOLE)
    get(tmp_path / "voc.tar", serve((302, b"", None, {"Location": good.url})).url)
    assert (tmp_path / "voc.tar").read_bytes() == BODY
    with pytest.raises(NetworkError) as caught:
        get(tmp_path / "other.tar", serve((302, b"", None, {"Location": (tmp_path / "voc.tar").as_uri()})).url)
    refused(caught.value, tmp_path / "other.tar")


def test_a_target_that_is_right_already_is_not_fetched_again(serve, tmp_path):
    (tmp_path / "voc.tar").write_bytes(BODY)
    server = serve((404,))
    get(tmp_path / "voc.tar", server.url)
    assert server.ranges == []


@pytest.mark.parametrize(
    "url",
    ["ftp://host/a", "file:///etc/hostname", "host/a", "http://", "http://[::1", "http://h:x/a", "http://h/a b",
     "http://u:p@h/a"],
)  # fmt: skip
def test_only_http_addresses(tmp_path, url):
    with pytest.raises(ConfigError) as caught:
        get(tmp_path / "voc.tar", url)
    refused(caught.value, tmp_path / "voc.tar")


def test_no_address_at_all(tmp_path):
    with pytest.raises(ConfigError, match="--url"):
        get(tmp_path / "voc.tar")


def full_disk(out, block) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_keeps_the_part(serve, tmp_path, monkeypatch):
    written = []

    def write(out, block) -> None:
        full_disk(out, block) if written else written.append(out.write(block))

    monkeypatch.setattr(archive, "_write", write)
    server = serve(WHOLE, REST)
    with pytest.raises(RunError) as caught:
        get(tmp_path / "voc.tar", server.url)
    assert "no space left" in refused(caught.value, tmp_path / "voc.tar")
    assert (tmp_path / "voc.tar.part").read_bytes() == BODY[: written[0]]
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    get(tmp_path / "voc.tar", server.url)  # space was made
    assert server.ranges == [None, f"bytes={written[0]}-"]
    assert (tmp_path / "voc.tar").read_bytes() == BODY


def test_folder_that_cannot_be_made(serve, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as caught:
        get(tmp_path / "file" / "voc.tar", serve(WHOLE).url)
    assert "\n" not in str(caught.value)


def test_check_md5(tmp_path):
    (tmp_path / "voc.tar").write_bytes(BODY)
    check_md5(tmp_path / "voc.tar", MD5)
    with pytest.raises(DataError, match="md5"):
        check_md5(tmp_path / "voc.tar", MD5[::-1])
    with pytest.raises(DataError, match="is no file"):
        check_md5(tmp_path / "other.tar", MD5)


Member = tuple[str, bytes | None, dict]  # name, content (None: a folder), fields of the TarInfo


def tar_of(path: Path, *members: Member) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content, changed in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content or b""), tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            for key, value in changed.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content or b""))
    return path


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


GOOD: tuple[Member, ...] = (
    ("VOCdevkit/", None, {}),
    ("VOCdevkit/VOC2009/a.txt", b"a" * 2000, {}),
    ("VOCdevkit/b", b"", {}),
)


def test_unpack_brings_every_file(tmp_path):
    seen = []
    tar = tar_of(tmp_path / "voc.tar", *GOOD)
    unpack(tar, tmp_path / "data" / "voc", on_bytes=lambda done, total: seen.append((done, total)))
    assert everything(tmp_path / "data") == {
        "voc", "voc/VOCdevkit", "voc/VOCdevkit/VOC2009", "voc/VOCdevkit/VOC2009/a.txt", "voc/VOCdevkit/b"
    }  # fmt: skip
    assert (tmp_path / "data/voc/VOCdevkit/VOC2009/a.txt").read_bytes() == b"a" * 2000
    assert seen
    assert all(0 < done <= total == tar.stat().st_size for done, total in seen)


def test_unpack_leaves_what_is_there(tmp_path):
    tar = tar_of(tmp_path / "voc.tar", *GOOD)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    unpack(tar, tmp_path / "out")
    (tmp_path / "out" / "VOCdevkit" / "b").write_text("changed")
    with pytest.raises(DataError, match="is there already"):
        unpack(tar, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "kept"
    assert (tmp_path / "out" / "VOCdevkit" / "b").read_text() == "changed"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mine", "VOCdevkit"}
    assert not (tmp_path / "out.part").exists()


def test_unpack_clears_what_a_killed_run_left(tmp_path):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "stale").write_text("")
    unpack(tar_of(tmp_path / "voc.tar", *GOOD), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"VOCdevkit"}


EVIL: dict[str, tuple[Member, ...]] = {
    "parent": (("../evil", b"x", {}),),
    "deep parent": (("VOCdevkit/../../evil", b"x", {}),),
    "absolute": (("/nowhere/evil-of-vocctl", b"x", {}),),
    "backslash": (("..\\evil", b"x", {}),),
    "symlink out": (("out", b"", {"type": tarfile.SYMTYPE, "linkname": "../"}), ("out/evil", b"x", {})),
    "symlink inside": (("VOCdevkit/c", b"", {"type": tarfile.SYMTYPE, "linkname": "b"}),),
    "hard link": (("link", b"", {"type": tarfile.LNKTYPE, "linkname": "../secret"}),),
    "device": (("null", b"", {"type": tarfile.CHRTYPE}),),
    "fifo": (("pipe", b"", {"type": tarfile.FIFOTYPE}),),
    "sparse bomb": (
        ("bomb", b"x", {"pax_headers": {"GNU.sparse.size": "9000000000", "GNU.sparse.map": "8999999999,1"}}),
    ),
    "nameless": ((".", b"x", {}),),
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL.keys())
def test_unpack_refuses(tmp_path, members):
    box = tmp_path / "box"
    box.mkdir()
    (box / "secret").write_text("secret")
    tar = tar_of(box / "voc.tar", *GOOD, *members)
    with pytest.raises(DataError, match="not safe to unpack") as caught:
        unpack(tar, box / "out")
    refused(caught.value, box / "out")
    assert everything(tmp_path) == {"box", "box/secret", "box/voc.tar"}
    assert not Path("/nowhere").exists()


def test_unpack_bounds_bytes_and_members(tmp_path):
    tar = tar_of(tmp_path / "voc.tar", *GOOD)  # 2,000 bytes, 3 members
    for bounds in ({"max_bytes": 1999}, {"max_members": 2}):
        with pytest.raises(DataError, match="holds more than") as caught:
            unpack(tar, tmp_path / "out", **bounds)
        refused(caught.value, tmp_path / "out")
    unpack(tar, tmp_path / "out", max_bytes=2000, max_members=3)


def test_unpack_refuses_a_member_that_declares_a_terabyte(tmp_path):
    info = tarfile.TarInfo("VOCdevkit/bomb")
    info.size = 1 << 40
    (tmp_path / "voc.tar").write_bytes(info.tobuf() + bytes(10240))
    with pytest.raises(DataError, match="holds more than") as caught:
        unpack(tmp_path / "voc.tar", tmp_path / "out")
    refused(caught.value, tmp_path / "out")


@pytest.mark.parametrize("size", [0, 100, 700, 1024, 1500, 2560, 4096])
def test_unpack_refuses_a_cut_tar(tmp_path, size):
    whole = tar_of(tmp_path / "voc.tar", *GOOD).read_bytes()  # headers at 0, 512, 3072; zeros from 3584
    assert whole[3584:] == bytes(len(whole) - 3584)
    (tmp_path / "voc.tar").write_bytes(whole[: min(size, 3584)])
    with pytest.raises(DataError, match="no whole tar") as caught:
        unpack(tmp_path / "voc.tar", tmp_path / "out")
    refused(caught.value, tmp_path / "out")
    assert not (tmp_path / "out.part").exists()


def test_unpack_refuses_a_header_that_is_damaged(tmp_path):
    whole = bytearray(tar_of(tmp_path / "voc.tar", *GOOD).read_bytes())
    whole[3072 + 20] ^= 0xFF  # the third member's name: its checksum is wrong now
    (tmp_path / "voc.tar").write_bytes(whole)
    with pytest.raises(DataError, match="no whole tar"):
        unpack(tmp_path / "voc.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "members",
    [
        (("a", b"x", {}), ("a/b", b"x", {})),
        (("a/b", b"x", {}), ("a", b"x", {})),
        (("a", b"x", {}), ("a", None, {})),
        (("a", b"x", {"pax_headers": {"GNU.sparse.map": "no,number"}}),),
    ],
)
def test_unpack_refuses_a_tar_that_makes_no_sense(tmp_path, members):
    tar = tar_of(tmp_path / "voc.tar", *members)
    with pytest.raises(DataError, match="no whole tar") as caught:
        unpack(tar, tmp_path / "out")
    refused(caught.value, tmp_path / "out")
    assert everything(tmp_path) == {"voc.tar"}


@pytest.mark.parametrize("content", [b"<html>not found</html>" * 100, b"\x1f\x8b" + bytes(2000)])
def test_unpack_refuses_what_is_no_tar(tmp_path, content):
    (tmp_path / "voc.tar").write_bytes(content)
    with pytest.raises(DataError, match="no whole tar") as caught:
        unpack(tmp_path / "voc.tar", tmp_path / "out")
    refused(caught.value, tmp_path / "out")


def test_unpack_to_where_a_file_is(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunError) as caught:
        unpack(tar_of(tmp_path / "voc.tar", *GOOD), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out").read_text() == "mine"
    assert everything(tmp_path) == {"out", "voc.tar"}


def test_unpack_of_nothing(tmp_path):
    with pytest.raises(DataError, match="is missing") as caught:
        unpack(tmp_path / "voc.tar", tmp_path / "out")
    refused(caught.value, tmp_path / "out")


def test_unpack_on_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    tar = tar_of(tmp_path / "voc.tar", *GOOD)
    monkeypatch.setattr(archive, "_write", full_disk)
    with pytest.raises(RunError, match="no space left") as caught:
        unpack(tar, tmp_path / "out")
    refused(caught.value, tmp_path / "out")
    assert everything(tmp_path) == {"voc.tar"}
