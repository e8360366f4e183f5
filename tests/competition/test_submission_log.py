"""submissions.jsonl: what is known of each submission, whatever was written when."""

import pytest

from vocctl.competition import submission_log
from vocctl.errors import DataError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_later_lines_go_over_earlier_ones_and_uploads_over_the_file():
    submission_log.append_record({"sha256": "a", "file": "a.csv", "cls": ["one"], "status": "written"})
    submission_log.append_record({"sha256": "b", "file": "b.csv", "status": "written"})
    for ref, status in ((1, "pending"), (1, "complete"), (2, "pending")):
        submission_log.append_record({"sha256": "a", "file": "a.csv", "ref": ref, "status": status})
    known = submission_log.history()
    assert [(one["sha256"], one.get("ref"), one["status"]) for one in known] == [
        ("b", None, "written"),
        ("a", 1, "complete"),
        ("a", 2, "pending"),
    ]
    assert known[1]["cls"] == ["one"]  # what was known of the file when it was written


def test_a_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "one.csv").write_text("Id,Predicted\n")
    digest = submission_log.file_hash(tmp_path / "one.csv")
    assert submission_log.latest_record(tmp_path / "one.csv") == {"file": str(tmp_path / "one.csv"), "sha256": digest}
    submission_log.append_record(
        {"sha256": digest, "file": "elsewhere.csv", "cls": ["one"], "status": "pending", "ref": 3}
    )
    (tmp_path / "one.csv").rename(tmp_path / "two.csv")
    known = submission_log.latest_record(tmp_path / "two.csv")
    assert known == {"file": str(tmp_path / "two.csv"), "sha256": digest, "cls": ["one"]}


def test_a_last_line_that_was_cut_short_is_left_out_and_a_broken_one_is_named():
    submission_log.append_record({"sha256": "a", "file": "a.csv", "status": "written"})
    path = submission_log.FOLDER / submission_log.LOG
    whole = path.read_text()
    path.write_text(whole + '{"sha256": "b"')
    assert len(submission_log.history()) == 1
    path.write_text('{"file": 1}\n' + whole)
    with pytest.raises(DataError, match=r"submissions\.jsonl, line 1"):
        submission_log.history()


def test_a_line_that_was_cut_short_does_not_spoil_the_next():
    submission_log.append_record({"sha256": "a", "status": "written"})
    with (submission_log.FOLDER / submission_log.LOG).open("a") as stream:
        stream.write('{"sha256": "b"')
    submission_log.append_record({"sha256": "c", "status": "written"})
    assert [one["sha256"] for one in submission_log.history()] == ["a", "c"]


def test_a_last_line_that_an_editor_left_without_its_end_is_kept():
    submission_log.append_record({"sha256": "a", "status": "written"})
    path = submission_log.FOLDER / submission_log.LOG
    path.write_text(path.read_text().rstrip("\n"))
    assert [one["sha256"] for one in submission_log.history()] == ["a"]
    submission_log.append_record({"sha256": "b", "status": "written"})
    assert [one["sha256"] for one in submission_log.history()] == ["a", "b"]


def test_nothing_was_sent_yet():
    assert submission_log.history() == []
