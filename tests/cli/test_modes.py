"""A flag without effect on what a command does is refused."""

from pathlib import Path

import pytest

from vocctl.cli.app import main


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("download voc2009 --seed 3", "download voc2009 cannot be combined with --seed: omit it"),
        ("download h02a5a --from FOLDER --seed 0", "download h02a5a cannot be combined with --seed"),
        ("download --years --out x", "--years cannot be combined with --out"),
        (
            "download --check FOLDER --url x --archive FILE",
            "--check cannot be combined with --url, --archive: omit them",
        ),
        ("download --check FOLDER --seed 1", "--check cannot be combined with --seed"),
        ("download shapes --check FOLDER", "give either a data set to download"),
        ("download shapes --years", "give either a data set to download"),
        ("submit --tta flip --check FILE", "--check cannot be combined with --tta"),
        ("submit --check FILE --wait 3", "--check cannot be combined with --wait"),
        ("submit --file FILE --dry-run --seg a", "--file cannot be combined with --seg, --dry-run: omit them"),
        ("submit --merge FILE FILE --device cpu", "--merge cannot be combined with --device"),
        ("submit --score FILE --truth FOLDER --message x", "--score cannot be combined with --message"),
        ("submit --history --data FOLDER", "--history cannot be combined with --data"),
        ("submit --worst 3 --dry-run", "predicting the test images cannot be combined with --worst"),
        ("plot RUN --kind curves --select best", "--select chooses the images of masks"),
        ("predict FILE --run CLS --out x", "a classifier's labels are printed: omit it, or use --json"),
    ],
)
def test_flags_without_effect(line: str, message: str, trained, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("")
    words = {"FILE": tmp_path / "file", "FOLDER": tmp_path, "RUN": trained.seg, "CLS": trained.cls}
    assert main([str(words.get(word, word)) for word in line.split()]) == 2
    assert message in capsys.readouterr().err


def test_flags_of_every_mode_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """They fail later, for other reasons."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("")
    for line in (
        "download --years -q",
        "download --check . --make-lists --seed 1 -q",
        "submit --check a.csv --competition h02a5a --data . -q",
        "submit --score a.csv --truth . --data . --worst 3 -q",
        "submit --merge a.csv a.csv --data . --out b.csv -q",
        "submit --history -q",
    ):
        main(line.split())
        assert "cannot be combined with" not in capsys.readouterr().err, line
