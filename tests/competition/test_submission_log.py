"""submissions.jsonl: what is known of each submission, and lines that were not written completely."""

import pytest

from vocctl.competition import submission_log
from vocctl.errors import DataError


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_later_lines_override_earlier_ones_and_each_upload_is_a_record():
    submission_log.append_record({"sha256": "a", "file": "a.csv", "cls": ["one"], "status": "written"})
    submission_log.append_record({"sha256": "b", "file": "b.csv", "status": "written"})
    for ref, status in ((1, "pending"), (1, "complete"), (2, "pending")):
        submission_log.append_record({"sha256": "a", "file": "a.csv", "ref": ref, "status": status})
    records = submission_log.history()
    assert [(record["sha256"], record.get("ref"), record["status"]) for record in records] == [
        ("b", None, "written"),
        ("a", 1, "complete"),
        ("a", 2, "pending"),
    ]
    assert records[1]["cls"] == ["one"]  # from the line that was written with the file


def test_a_file_is_identified_by_its_content(tmp_path):
    (tmp_path / "one.csv").write_text("Id,Predicted\n")
    digest = submission_log.file_hash(tmp_path / "one.csv")
    assert submission_log.latest_record(tmp_path / "one.csv") == {"file": str(tmp_path / "one.csv"), "sha256": digest}
    submission_log.append_record(
        {"sha256": digest, "file": "elsewhere.csv", "cls": ["one"], "status": "pending", "ref": 3}
    )
    (tmp_path / "one.csv").rename(tmp_path / "two.csv")
    record = submission_log.latest_record(tmp_path / "two.csv")
    assert record == {"file": str(tmp_path / "two.csv"), "sha256": digest, "cls": ["one"]}


def test_an_incomplete_last_line_is_left_out_and_a_corrupt_line_is_reported():
    submission_log.append_record({"sha256": "a", "file": "a.csv", "status": "written"})
    path = submission_log.FOLDER / submission_log.LOG
    complete = path.read_text()
    path.write_text(complete + '{"sha256": "b"')
    assert len(submission_log.history()) == 1
    path.write_text('{"file": 1}\n' + complete)
    with pytest.raises(DataError, match=r"submissions\.jsonl, line 1"):
        submission_log.history()


def test_an_incomplete_last_line_does_not_damage_the_next():
    submission_log.append_record({"sha256": "a", "status": "written"})
    with (submission_log.FOLDER / submission_log.LOG).open("a") as file:
        file.write('{"sha256": "b"')
    submission_log.append_record({"sha256": "c", "status": "written"})
    assert [record["sha256"] for record in submission_log.history()] == ["a", "c"]


def test_a_last_line_without_a_line_end_is_kept():
    submission_log.append_record({"sha256": "a", "status": "written"})
    path = submission_log.FOLDER / submission_log.LOG
    path.write_text(path.read_text().rstrip("\n"))
    assert [record["sha256"] for record in submission_log.history()] == ["a"]
    submission_log.append_record({"sha256": "b", "status": "written"})
    assert [record["sha256"] for record in submission_log.history()] == ["a", "b"]
    assert path.read_text().endswith("}\n")


def test_no_submission_yet():
    assert submission_log.history() == []
