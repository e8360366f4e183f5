"""`vocctl submit`: from runs to a csv, its expected and its offline score, an upload and its public score."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from vocctl.cli.app import main
from vocctl.competition.table import read_table
from vocctl.data.competition import CompetitionData

CSV = Path("runs/submit/h02a5a-one-one.csv")
TOKEN = "KGAT_canary_7f3a91"

SMALL = [
    "--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8", "--size", "32",
    "--batch", "8", "--epochs", "1", "--quiet",
]  # fmt: skip


def decode(text: str, height: int, width: int) -> np.ndarray:
    """(H, W) label map of a segmentation row."""
    stack = np.zeros(20 * height * width, np.uint8)
    numbers = list(map(int, text.split()))
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        stack[start - 1 : start - 1 + length] = 1
    return (stack.reshape(20, height, width) * np.arange(1, 21, dtype=np.uint8)[:, None, None]).max(axis=0)


def log() -> list[dict]:
    """The lines of the submission log."""
    return [json.loads(line) for line in Path("runs/submit/submissions.jsonl").read_text().splitlines()]


def check_failure(capsys: pytest.CaptureFixture[str], args: list[str], code: int, *parts: str) -> str:
    """The command fails with this code and one line that contains the parts. Returns stdout."""
    assert main(args) == code
    output = capsys.readouterr()
    lines = output.err.strip().splitlines()
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]
    return output.out


def test_dry_run_writes_a_csv_and_prints_the_expected_score(workspace, capsys):
    assert main(["submit", "--dry-run"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "classification: runs/cls/one, the only finished run on data/h02a5a" in output.out
    assert "suppression: " in output.out
    assert "4 validation images" in output.out  # every fifth of 20
    rows = read_table(CSV)
    assert list(rows)[:3] == ["0_classification", "0_segmentation", "1_classification"]
    assert len(rows) == 12
    assert all(rows.values())  # no row is empty
    source = CompetitionData(Path("data/h02a5a"))
    for number in range(6):
        assert decode(rows[f"{number}_segmentation"], *source.image(f"test_{number}").shape[:2]).any()
    assert log()[-1]["status"] == "written"
    assert not list(Path("runs/submit").glob("*.part"))


def test_expected_score_is_that_of_the_validation_images(workspace, capsys):
    """`vocctl eval` measures the same Dice on the same images, because no rule is used."""
    assert main(["submit", "--checkpoint", "best", "--dry-run"]) == 0
    expected, rules = log()[-1]["expected"], log()[-1]["rules"]
    assert main(["eval", "runs/cls/one", "--json"]) == 0
    assert main(["eval", "runs/seg/one", "--json"]) == 0
    cls, seg = (json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:])
    assert [rule["used"] for rule in rules] == [False, False]  # four images are too few
    assert expected["classification"] == pytest.approx(cls["scores"]["sample_f1"])
    # a mask that is all background gets a class in a submission, which can only score higher
    assert expected["segmentation"] >= seg["scores"]["competition_dice"] - 1e-6
    assert expected["joint"] == pytest.approx((expected["classification"] + expected["segmentation"]) / 2)
    low, high = expected["interval"]
    assert low <= expected["joint"] <= high


def test_check_score_and_merge(workspace, capsys):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["submit", "--check", str(CSV)]) == 0
    assert "has 12 rows and no format errors" in capsys.readouterr().out
    scores = []
    for source in (
        ["--truth", "data/h02a5a"],
        ["--truth", "data/tree"],
        ["--truth", "data/tree", "--data", "data/h02a5a"],
    ):
        assert main(["submit", "--score", str(CSV), *source]) == 0
        scores.append(re.search(r"joint Dice ([\d.]+)", capsys.readouterr().out)[1])
    assert len(set(scores)) == 1  # the same ground truth from three sources
    assert main(["submit", "--merge", str(CSV), str(CSV), "--out", "both.csv"]) == 0
    assert Path("both.csv").read_bytes() == CSV.read_bytes()
    check_failure(capsys, ["submit", "--merge", str(CSV), str(CSV), "--out", "both.csv"], 2, "both.csv exists")


def test_devkit_images_are_matched_by_content_not_by_order(workspace, capsys):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["submit", "--score", str(CSV), "--truth", "data/h02a5a"]) == 0
    joint = re.search(r"joint Dice ([\d.]+)", capsys.readouterr().out)[1]
    val_list = Path("data/tree/VOCdevkit/VOC2009/ImageSets/Segmentation/val.txt")
    val_list.write_text("\n".join(reversed(val_list.read_text().split())) + "\n")
    assert main(["submit", "--score", str(CSV), "--truth", "data/tree", "--data", "data/h02a5a"]) == 0
    assert re.search(r"joint Dice ([\d.]+)", capsys.readouterr().out)[1] == joint


def test_check_lists_the_errors_by_row(workspace, capsys):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    capsys.readouterr()
    lines = CSV.read_text().splitlines()
    lines[1], lines[4] = "0_classification,", "1_segmentation,1"
    Path("wrong.csv").write_text("\n".join(lines) + "\n")
    out = check_failure(capsys, ["submit", "--check", "wrong.csv"], 3, "wrong.csv: 2 format errors")
    assert "wrong.csv, line 2: 0_classification is empty" in out
    assert "wrong.csv, line 5: 1_segmentation is invalid: the number of values is odd (1)" in out


def test_both_layouts_give_the_same_csv(workspace, capsys):
    assert main(["submit", "--data", "data/tree", "--cls", "runs/cls/one", "--seg", "runs/seg/one", "--dry-run"]) == 0
    assert main(["submit", "--dry-run"]) == 0
    assert Path("runs/submit/tree-one-one.csv").read_text() == CSV.read_text()


def test_the_best_of_several_finished_runs_is_chosen(workspace, capsys):
    shutil.copytree("runs/seg/one", "runs/seg/two")
    shutil.copytree("runs/seg/one", "runs/seg/unfinished")
    Path("runs/seg/unfinished/final.safetensors").unlink()
    for name, dice in (("one", 0.1), ("two", 0.2)):
        (Path("runs/seg") / name / "validation_dice.json").write_text(json.dumps({"best": 0.05, "final": dice}))
    assert main(["submit", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "segmentation: runs/seg/two, Dice 20.0 on its validation images (others: one 10.0)" in out
    assert "segmentation: final checkpoint, by Dice on the validation images (best 5.0, final 20.0)" in out


def test_several_runs_are_an_ensemble(workspace, capsys):
    shutil.copytree("runs/seg/one", "runs/seg/two")
    runs = [
        "--cls",
        "one",
        "--cls",
        "runs/cls/one",
        "--seg",
        "one",
        "--seg",
        "two",
    ]  # runs/cls and runs/seg both have a run called one
    assert main(["submit", *runs, "--tta", "flip", "--dry-run"]) == 0
    assert Path("runs/submit/h02a5a-one+1-one+1.csv").is_file()
    assert log()[-1]["seg"] == ["runs/seg/one", "runs/seg/two"]


def test_no_finished_run(workspace, capsys):
    config = Path("runs/seg/one/config.toml")
    config.write_text(config.read_text().replace("data/h02a5a", "data/other"))
    message = "has no finished run on data/h02a5a (1 on other data, which --seg accepts)"
    check_failure(capsys, ["submit", "--dry-run"], 3, message, "vocctl train-seg --data data/h02a5a")
    shutil.rmtree("runs/seg/one")
    check_failure(capsys, ["submit", "--dry-run"], 3, "has no finished run on data/h02a5a: ")


def test_a_run_validated_on_test_images_is_refused(workspace, capsys):
    assert main(["train-seg", "--data", "data/tree", "--name", "leaky", *SMALL]) == 0
    capsys.readouterr()
    args = ["submit", "--seg", "leaky", "--dry-run", "--quiet"]
    check_failure(capsys, args, 2, "runs/seg/leaky", "6 of the competition's test images", "--allow-test-images")
    assert not Path("runs/submit").exists()
    assert main([*args, "--allow-test-images"]) == 0
    assert "warning: runs/seg/leaky was trained or validated on 6 of" in capsys.readouterr().out
    assert "6 of the competition's test images" in log()[-1]["warnings"][0]


def test_a_run_with_the_initial_weights_of_such_a_run_is_refused(workspace, capsys):
    assert main(["train-seg", "--data", "data/tree", "--name", "leaky", *SMALL]) == 0
    config = Path("runs/seg/one/config.toml")
    config.write_text(
        config.read_text()
        .replace('weights = "auto"', 'weights = "runs/seg/leaky/best.safetensors"')
        .replace('encoder = "scratch"', 'encoder = "tf_efficientnet_lite0"')
    )
    capsys.readouterr()
    check_failure(capsys, ["submit", "--seg", "one", "--dry-run", "--quiet"], 2, "6 of the competition's test images")


def test_upload_and_score(workspace, kaggle, capsys):
    kaggle.polls = [{"status": "PENDING"}, {"status": "PENDING"}, {"status": "COMPLETE", "publicScore": "0.61234"}]
    assert main(["submit", "--competition", kaggle.slug, "--data", "data/h02a5a"]) == 0
    output = capsys.readouterr()
    assert "public score 0.61234; 3 submissions left today" in output.out
    assert "Kaggle credentials: an access token, KAGGLE_API_TOKEN" in output.err
    assert output.out.index("expected joint Dice") < output.out.index("public score")
    assert kaggle.uploaded == CSV.read_bytes()
    assert "cls one; seg one; expected" in kaggle.submitted["submissionDescription"]
    assert [record["status"] for record in log()] == ["written", "pending", "complete"]
    assert main(["submit", "--history"]) == 0
    out = capsys.readouterr().out
    assert "0.61234" in out
    assert out.count("complete") == 1
    everything = "".join(path.read_text(errors="ignore") for path in Path("runs").rglob("*") if path.is_file())
    assert TOKEN not in everything + out
    assert "canary" not in everything


def test_dry_run_does_not_contact_kaggle(workspace, kaggle):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    assert kaggle.calls == []


def test_history_asks_for_pending_scores(workspace, kaggle, capsys):
    kaggle.polls = [{"status": "PENDING"}]
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--wait", "0", "--quiet"]
    assert main(args) == 0
    assert "not scored yet" in capsys.readouterr().out
    kaggle.polls = [{"status": "COMPLETE", "publicScore": "0.5"}]
    assert main(["submit", "--history", "--wait", "1"]) == 0
    out = capsys.readouterr().out
    assert "complete" in out
    assert "pending" not in out


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        ("GetSubmissionLimits", 401, "refused the credentials"),
        ("GetSubmissionLimits", 403, "/competitions/test-competition/rules"),
        ("StartSubmissionUpload", 429, "too many requests"),
        ("CreateSubmission", 500, "server error"),
    ],
)
def test_a_failed_upload_keeps_the_csv(workspace, kaggle, capsys, method, status, message):
    kaggle.failures[method] = (status, {"code": status, "message": "no"})
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]
    check_failure(capsys, args, 4, message, f"{CSV} is kept", f"vocctl submit --file {CSV}")
    assert CSV.is_file()
    assert log()[-1]["status"] == "written"
    kaggle.failures.clear()
    assert main(["submit", "--competition", kaggle.slug, "--file", str(CSV), "--quiet"]) == 0
    assert log()[-1]["cls"] == ["runs/cls/one"]  # found by the file's content


def test_a_csv_is_uploaded_to_the_competition_that_it_was_written_for(workspace, kaggle, capsys):
    assert main(["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--dry-run", "--quiet"]) == 0
    assert main(["submit", "--file", str(CSV), "--quiet"]) == 0
    assert log()[-1]["competition"] == kaggle.slug
    assert kaggle.uploaded == CSV.read_bytes()
    shutil.move("data/h02a5a", f"data/{kaggle.slug}")
    assert main(["submit", "--check", str(CSV), "--quiet"]) == 0  # against the images of that competition
    Path("others.csv").write_bytes(CSV.read_bytes() + b"\n")  # not in the log
    kaggle.failures["CreateSubmission"] = (500, {"code": 500, "message": "no"})
    args = ["submit", "--competition", kaggle.slug, "--file", "others.csv", "--quiet"]
    check_failure(capsys, args, 4, f"`vocctl submit --file others.csv --competition {kaggle.slug}` uploads it")


def test_no_submission_is_left_today(workspace, kaggle, capsys):
    kaggle.limits = {"numToday": 5, "numTotal": 20, "numAllowedNow": 0}
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]
    check_failure(capsys, args, 4, "no submission is left today (5 made)", "00:00 UTC", f"{CSV} is kept")
    assert "StartSubmissionUpload" not in kaggle.calls


def test_limits_are_all_zero_before_a_teams_first_submission(workspace, kaggle):
    kaggle.limits = {"numToday": 0, "numTotal": 0, "numAllowedNow": 0}
    assert main(["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]) == 0


def test_a_file_refused_by_kaggle(workspace, kaggle, capsys):
    kaggle.polls = [{"status": "ERROR", "errorDescription": "Evaluation Exception"}]
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]
    check_failure(capsys, args, 4, f"Kaggle refused {CSV}: Evaluation Exception", "the file is kept")
    assert log()[-1]["status"] == "error"
    assert log()[-1]["reason"] == "Evaluation Exception"


def test_in_a_kaggle_notebook(workspace, capsys, monkeypatch, tmp_path):
    """The data are found, the csv is written where Kaggle expects it, and nothing is uploaded."""
    (tmp_path / "kaggle" / "working").mkdir(parents=True)
    shutil.move("data/h02a5a", tmp_path / "kaggle" / "input" / "ga-2")
    data = tmp_path / "kaggle" / "input" / "ga-2"
    for name in ("cls", "seg"):
        config = Path("runs") / name / "one" / "config.toml"
        config.write_text(re.sub(r'^path = ".*"$', f'path = "{data}"', config.read_text(), flags=re.MULTILINE))
    for module in ("competition.test_set", "tasks.submit"):
        monkeypatch.setattr(f"vocctl.{module}.KAGGLE_INPUT", tmp_path / "kaggle" / "input")
    monkeypatch.setattr("vocctl.tasks.submit.KAGGLE_WORKING", tmp_path / "kaggle" / "working")
    assert main(["submit"]) == 0
    assert "submit the notebook's output" in capsys.readouterr().out
    assert len(read_table(tmp_path / "kaggle" / "working" / "submission.csv")) == 12


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--check", "a.csv", "--history"], 2, "mutually exclusive"),
        (["--score", "a.csv"], 2, "--truth DATA belong together"),
        (["--check", "a.csv", "--dry-run"], 2, "--check cannot be combined with"),
        (["--file", "a.csv", "--dry-run"], 2, "--file cannot be combined with"),
        (["--file", "a.csv", "--seg", "one"], 2, "--file cannot be combined with"),
        (["--file", "a.csv", "--wait", "inf"], 2, "--wait is a number of seconds, got inf"),
        (["--check", "a.csv"], 3, "a.csv is not a file"),
        (["--file", "a.csv"], 3, "a.csv cannot be read"),
        (["--competition", "A b", "--dry-run"], 2, "is not a competition"),
        (["--data", "nowhere", "--dry-run"], 3, "nowhere is no"),
        (["--competition", "some-slug", "--dry-run"], 3, "vocctl download some-slug"),
        (["--cls", "nobody", "--dry-run"], 3, "no run nobody"),
        (["--seg", "runs/cls/one", "--dry-run"], 3, "is a run of train-cls, not of train-seg"),
        (["--tta", "five", "--dry-run"], 2, "--tta"),
        (["--out", "data", "--dry-run"], 2, "data exists"),
    ],
)
def test_wrong_arguments(workspace, capsys, args, code, message):
    check_failure(capsys, ["submit", *args, "--quiet"], code, message)


def test_rows_have_the_order_of_the_sample_file(workspace):
    names = [f"{number}_{half}" for half in ("classification", "segmentation") for number in range(6)]
    Path("data/h02a5a/sample_submission.csv").write_text("Id,Predicted\n" + "".join(f"{name},\n" for name in names))
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    assert list(read_table(CSV)) == names


def test_masks_are_the_models_at_the_original_size(workspace):
    """The masks in the csv agree with the model's, computed here without submit."""
    import torch

    from vocctl.competition.fusion import argmax_labels
    from vocctl.data.cache_build import cached_split
    from vocctl.inference.load import load_segmenter
    from vocctl.runs.folder import RunFolder

    assert main(["submit", "--checkpoint", "final", "--dry-run", "--quiet"]) == 0
    model, _, _ = load_segmenter(RunFolder(Path("runs/seg/one")), "final", "cpu")
    images = cached_split(CompetitionData(Path("data/h02a5a")), "test", 32)
    rows = read_table(CSV)
    for index in range(6):
        image = torch.from_numpy(np.array(images.image(index))).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
            logits = model.eval()(image).float()
        probs = torch.nn.functional.interpolate(logits.softmax(1), size=(40, 50), mode="bilinear")[0]
        labels = decode(rows[f"{index}_segmentation"], 40, 50)
        assert (labels == argmax_labels(probs)).mean() > 0.98
