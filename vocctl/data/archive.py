"""What unpacking a tar and a zip have in common: limits, safe paths, and the copying of a member.

Archives come from the network, so neither their paths nor their sizes are trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from vocctl.errors import DataError

BLOCK_SIZE = 1 << 18  # bytes read at a time

OnProgress = Callable[[int, int | None], None]  # called with (done, total; None: unknown)


@dataclass(frozen=True)
class Limits:
    """Far above any data set that vocctl reads; VOC2012, the largest, has 2 GB."""

    max_bytes: int = 16 << 30  # unpacked
    max_members: int = 500_000

    def check(self, archive: Path, num_bytes: int, num_members: int) -> None:
        """Raise DataError if an archive exceeds the limits."""
        if num_bytes > self.max_bytes or num_members > self.max_members:
            limits = f"{self.max_bytes} bytes or {self.max_members} files"
            raise DataError(
                f"{archive} has more than {limits}, as no data set of vocctl does: download another archive"
            )


def safe_member_path(name: str, archive: Path, *, is_folder: bool, problem: str | None) -> PurePosixPath:
    """The path of an archive's member below the folder to unpack to.

    problem: why the member must not be unpacked whatever its name, as "is a link"; None: it may be unpacked.
    Raises DataError: there is a problem, the file would be written outside of the folder, or a file has no name.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(char in name for char in "\\:\0"):
        problem = "would be written outside of the output folder"
    elif problem is None and not path.parts and not is_folder:
        problem = "has no name"
    if problem is not None:
        raise DataError(f"{archive} is not safe to unpack: its member {name!r} {problem}. Download the archive again")
    return path


@dataclass
class MemberWriter:
    """Writes the members of an archive below a folder, and counts them against the limits.

    Its methods raise DataError (more than the limits) and OSError.
    """

    archive: Path
    folder: Path
    limits: Limits
    num_bytes: int = 0  # written or skipped
    num_members: int = 0

    def add_folder(self, path: PurePosixPath) -> None:
        self._count_member(declared_size=0)
        (self.folder / path).mkdir(parents=True, exist_ok=True)

    def skip(self, declared_size: int) -> None:
        """Count a member that is read past: a gzipped one costs time, however few bytes it has in the archive."""
        self._count_member(max(declared_size, 0))
        self.num_bytes += max(declared_size, 0)

    def add_file(self, path: PurePosixPath, stream: IO[bytes], declared_size: int) -> None:
        """Copy the stream, whose length may differ from its declared size. Both are checked."""
        self._count_member(declared_size)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            while block := stream.read(BLOCK_SIZE):
                self.num_bytes += len(block)
                self.limits.check(self.archive, self.num_bytes, self.num_members)
                out.write(block)

    def _count_member(self, declared_size: int) -> None:
        self.num_members += 1
        self.limits.check(self.archive, self.num_bytes + declared_size, self.num_members)


def one_line(error: BaseException) -> str:
    """The message of an exception, cut to one line of 120 characters; its type if it has none."""
    return " ".join(str(error).split())[:120] or type(error).__name__
