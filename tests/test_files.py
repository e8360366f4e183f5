"""Files that others wrote: text or an ordinary error, whatever they are."""

from pathlib import Path

import pytest

from vocctl.files import MAX_BYTES, read_json, read_text


def test_a_file_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.touch()
    with path.open("r+b") as stream:
        stream.truncate(MAX_BYTES + 1)  # sparse: it takes no room on the disk
    for read in (read_text, read_json):
        with pytest.raises(OSError, match="larger than 1024 MB"):
            read(path)
