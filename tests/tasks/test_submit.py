"""The way of a student: from runs to a csv, its expected and its offline score, an upload and its public score."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from vocctl.cli.app import main
from vocctl.competition.rle import labels_of_runs, parse_run_lengths
from vocctl.competition.table import read_table
from vocctl.data.competition import CompetitionData

CSV = Path("runs/submit/h02a5a-one-one.csv")
TOKEN = "KGAT_canary_7f3a91"


def log() -> list[dict]:
    return [json.loads(line) for line in Path("runs/submit/submissions.jsonl").read_text().splitlines()]


def fails(capsys: pytest.CaptureFixture[str], args: list[str], code: int, *says: str) -> str:
    assert main(args) == code
    seen = capsys.readouterr()
    lines = seen.err.strip().splitlines()
    assert len(lines) == 1, lines
    for text in says:
        assert text in lines[0]
    return seen.out


def test_a_dry_run_writes_a_csv_and_says_what_to_expect(world, capsys):
    assert main(["submit", "--dry-run"]) == 0
    seen = capsys.readouterr()
    assert seen.err == ""
    assert "classification: runs/cls/one, the only finished run on data/h02a5a" in seen.out
    assert "rule-out: " in seen.out
    assert "4 held-out images" in seen.out  # every fifth of 20
    rows = read_table(CSV)
    assert list(rows)[:3] == ["0_classification", "0_segmentation", "1_classification"]
    assert len(rows) == 12
    assert all(rows.values())  # no row is empty
    source = CompetitionData(Path("data/h02a5a"))
    for number in range(6):
        labels = labels_of_runs(
            parse_run_lengths(rows[f"{number}_segmentation"]), *source.image(f"test_{number}").shape[:2]
        )
        assert labels.any()
    assert log()[-1]["status"] == "written"
    assert not list(Path("runs/submit").glob("*.part"))


def test_what_it_expects_is_what_the_held_out_images_score(world, capsys):
    """The expected halves are those that `vocctl eval` measures on the same images, where no rule is used."""
    assert main(["submit", "--checkpoint", "best", "--dry-run"]) == 0
    expected, rules = log()[-1]["expected"], log()[-1]["rules"]
    assert main(["eval", "runs/cls/one", "--json"]) == 0
    assert main(["eval", "runs/seg/one", "--json"]) == 0
    cls, seg = (json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:])
    assert [rule["used"] for rule in rules] == [False, False]  # four images prove nothing
    assert expected["classification"] == pytest.approx(cls["scores"]["sample_f1"])
    # a map that is all background gets a guess in a submission: it can only be better
    assert expected["segmentation"] >= seg["scores"]["competition_dice"] - 1e-6
    assert expected["joint"] == pytest.approx((expected["classification"] + expected["segmentation"]) / 2)
    low, high = expected["interval"]
    assert low <= expected["joint"] <= high


def test_check_score_and_merge(world, capsys):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["submit", "--check", str(CSV)]) == 0
    assert "12 rows, no fault" in capsys.readouterr().out
    scores = []
    for where in (
        ["--truth", "data/h02a5a"],
        ["--truth", "data/tree"],
        ["--truth", "data/tree", "--data", "data/h02a5a"],
    ):
        assert main(["submit", "--score", str(CSV), *where]) == 0
        scores.append(re.search(r"joint Dice ([\d.]+)", capsys.readouterr().out)[1])
    assert len(set(scores)) == 1  # the same truth by three ways
    assert main(["submit", "--merge", str(CSV), str(CSV), "--out", "both.csv"]) == 0
    assert Path("both.csv").read_bytes() == CSV.read_bytes()
    fails(capsys, ["submit", "--merge", str(CSV), str(CSV), "--out", "both.csv"], 2, "is there already")


def test_the_tree_gives_the_truth_of_images_in_another_order(world, capsys):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["submit", "--score", str(CSV), "--truth", "data/h02a5a"]) == 0
    first = re.search(r"joint Dice ([\d.]+)", capsys.readouterr().out)[1]
    listed = Path("data/tree/VOCdevkit/VOC2009/ImageSets/Segmentation/val.txt")
    listed.write_text("\n".join(reversed(listed.read_text().split())) + "\n")
    assert main(["submit", "--score", str(CSV), "--truth", "data/tree", "--data", "data/h02a5a"]) == 0
    assert re.search(r"joint Dice ([\d.]+)", capsys.readouterr().out)[1] == first


def test_a_wrong_file_is_answered_row_by_row(world, capsys):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    capsys.readouterr()
    lines = CSV.read_text().splitlines()
    lines[1], lines[4] = "0_classification,", "1_segmentation,1"
    Path("wrong.csv").write_text("\n".join(lines) + "\n")
    out = fails(capsys, ["submit", "--check", "wrong.csv"], 3, "wrong.csv: 2 faults")
    assert "wrong.csv, line 2: 0_classification is empty" in out
    assert "wrong.csv, line 5: 1_segmentation holds 1 numbers" in out


def test_either_layout_is_data(world, capsys):
    assert main(["submit", "--data", "data/tree", "--cls", "runs/cls/one", "--seg", "runs/seg/one", "--dry-run"]) == 0
    assert main(["submit", "--dry-run"]) == 0
    assert Path("runs/submit/tree-one-one.csv").read_text() == CSV.read_text()


def test_the_best_of_several_runs_is_picked_and_the_others_are_named(world, capsys):
    shutil.copytree("runs/seg/one", "runs/seg/two")
    shutil.copytree("runs/seg/one", "runs/seg/unfinished")
    Path("runs/seg/unfinished/final.safetensors").unlink()
    for name, dice in (("one", 0.1), ("two", 0.2)):
        (Path("runs/seg") / name / "validation_dice.json").write_text(json.dumps({"best": 0.05, "final": dice}))
    assert main(["submit", "--dry-run"]) == 0
    assert "segmentation: runs/seg/two, Dice 20.0 on its held-out images (others: one 10.0)" in (
        said := capsys.readouterr().out
    )
    assert "segmentation: final weights, by Dice on the held-out images (best 5.0, final 20.0)" in said


def test_several_runs_are_an_ensemble(world, capsys):
    shutil.copytree("runs/seg/one", "runs/seg/two")
    runs = ["--cls", "one", "--cls", "runs/cls/one", "--seg", "one", "--seg", "two"]  # both kinds have a run called one
    assert main(["submit", *runs, "--tta", "flip", "--dry-run"]) == 0
    assert Path("runs/submit/h02a5a-one+1-one+1.csv").is_file()
    assert log()[-1]["seg"] == ["runs/seg/one", "runs/seg/two"]


def test_no_runs_at_all(world, capsys):
    shutil.rmtree("runs/seg/one")
    fails(
        capsys,
        ["submit", "--dry-run"],
        3,
        "holds no finished run on data/h02a5a",
        "vocctl train-seg --data data/h02a5a",
    )


def test_a_run_that_validated_on_the_test_images_is_refused(world, capsys):
    flags = ["--encoder", "scratch", "--widths", "8,8,8", "--size", "32", "--batch", "8", "--epochs", "1", "--quiet"]
    assert main(["train-seg", "--data", "data/tree", "--name", "leaky", *flags]) == 0
    capsys.readouterr()
    args = ["submit", "--seg", "leaky", "--dry-run", "--quiet"]
    fails(capsys, args, 2, "runs/seg/leaky", "6 of the competition's test images", "--allow-test-images")
    assert not Path("runs/submit").exists()
    assert main([*args, "--allow-test-images"]) == 0
    assert "note: runs/seg/leaky trained or was validated on 6 of" in capsys.readouterr().out
    assert "6 of the competition's test images" in log()[-1]["notes"][0]


def test_a_run_that_began_with_such_a_runs_weights_is_refused_too(world, capsys):
    flags = ["--encoder", "scratch", "--widths", "8,8,8", "--size", "32", "--batch", "8", "--epochs", "1", "--quiet"]
    assert main(["train-seg", "--data", "data/tree", "--name", "leaky", *flags]) == 0
    config = Path("runs/seg/one/config.toml")
    config.write_text(
        config.read_text()
        .replace('weights = "auto"', 'weights = "runs/seg/leaky/best.safetensors"')
        .replace('encoder = "scratch"', 'encoder = "tf_efficientnet_lite0"')
    )
    capsys.readouterr()
    fails(capsys, ["submit", "--seg", "one", "--dry-run", "--quiet"], 2, "6 of the competition's test images")


def test_weights_from_voc_are_flagged(world):
    from vocctl.competition.leakage import voc_weights
    from vocctl.runs.folder import RunFolder

    config, text = Path("runs/seg/one/config.toml"), Path("runs/seg/one/config.toml").read_text()
    text = text.replace('encoder = "scratch"', 'encoder = "resnet18"')
    flagged = {"auto": False, "none": False, "deeplabv3_coco_voc.pth": True, "pascal_r50.safetensors": True,
               "invoccation.pth": False}  # fmt: skip
    for weights, wanted in flagged.items():
        config.write_text(text.replace('weights = "auto"', f'weights = "{weights}"'))
        assert (voc_weights(RunFolder(Path("runs/seg/one"))) is not None) is wanted, weights


def test_an_upload_to_the_score(world, kaggle, capsys):
    kaggle.polls = [{"status": "PENDING"}, {"status": "PENDING"}, {"status": "COMPLETE", "publicScore": "0.61234"}]
    assert main(["submit", "--competition", kaggle.slug, "--data", "data/h02a5a"]) == 0
    seen = capsys.readouterr()
    assert "public score 0.61234; 3 submissions left today" in seen.out
    assert "Kaggle credentials: an access token, KAGGLE_API_TOKEN" in seen.err
    assert seen.out.index("expected joint Dice") < seen.out.index("public score")
    assert kaggle.uploaded == CSV.read_bytes()
    assert "cls one; seg one; expected" in kaggle.submitted["submissionDescription"]
    assert [record["status"] for record in log()] == ["written", "pending", "complete"]
    assert main(["submit", "--history"]) == 0
    seen = capsys.readouterr().out
    assert "0.61234" in seen
    assert seen.count("complete") == 1
    everything = "".join(path.read_text(errors="ignore") for path in Path("runs").rglob("*") if path.is_file())
    assert TOKEN not in everything + seen
    assert "canary" not in everything


def test_a_dry_run_asks_nobody(world, kaggle):
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    assert kaggle.calls == []


def test_a_score_that_was_still_due_is_asked_for_later(world, kaggle, capsys):
    kaggle.polls = [{"status": "PENDING"}]
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--wait", "0", "--quiet"]
    assert main(args) == 0
    assert "not scored yet" in capsys.readouterr().out
    kaggle.polls = [{"status": "COMPLETE", "publicScore": "0.5"}]
    assert main(["submit", "--history", "--wait", "1"]) == 0
    seen = capsys.readouterr().out
    assert "complete" in seen
    assert "pending" not in seen


@pytest.mark.parametrize(
    ("method", "status", "says"),
    [
        ("GetSubmissionLimits", 401, "refuses the credentials"),
        ("GetSubmissionLimits", 403, "/competitions/test-competition/rules"),
        ("StartSubmissionUpload", 429, "too often"),
        ("CreateSubmission", 500, "fails on its side"),
    ],
)
def test_a_refusal_keeps_the_csv_and_names_it(world, kaggle, capsys, method, status, says):
    kaggle.fails[method] = (status, {"code": status, "message": "no"})
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]
    fails(capsys, args, 4, says, f"{CSV} is kept", f"vocctl submit --file {CSV}")
    assert CSV.is_file()
    assert log()[-1]["status"] == "written"
    kaggle.fails.clear()
    assert main(["submit", "--competition", kaggle.slug, "--file", str(CSV), "--quiet"]) == 0
    assert log()[-1]["cls"] == ["runs/cls/one"]  # known by the file's bytes


def test_a_csv_goes_to_the_competition_that_it_was_written_for(world, kaggle, capsys):
    assert main(["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--dry-run", "--quiet"]) == 0
    assert main(["submit", "--file", str(CSV), "--quiet"]) == 0
    assert log()[-1]["competition"] == kaggle.slug
    assert kaggle.uploaded == CSV.read_bytes()
    shutil.move("data/h02a5a", f"data/{kaggle.slug}")
    assert main(["submit", "--check", str(CSV), "--quiet"]) == 0  # against that one's images
    Path("others.csv").write_bytes(CSV.read_bytes() + b"\n")  # nothing is known of it
    kaggle.fails["CreateSubmission"] = (500, {"code": 500, "message": "no"})
    args = ["submit", "--competition", kaggle.slug, "--file", "others.csv", "--quiet"]
    fails(capsys, args, 4, f"`vocctl submit --file others.csv --competition {kaggle.slug}` uploads it")


def test_no_submission_left_today(world, kaggle, capsys):
    kaggle.limits = {"numToday": 5, "numTotal": 20, "numAllowedNow": 0}
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]
    fails(capsys, args, 4, "no submission is left today (5 made)", "00:00 UTC", f"{CSV} is kept")
    assert "StartSubmissionUpload" not in kaggle.calls


def test_all_limits_zero_is_a_team_before_its_first_submission(world, kaggle):
    kaggle.limits = {"numToday": 0, "numTotal": 0, "numAllowedNow": 0}
    assert main(["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]) == 0


def test_a_file_that_the_server_refuses(world, kaggle, capsys):
    kaggle.polls = [{"status": "ERROR", "errorDescription": "Evaluation Exception"}]
    args = ["submit", "--competition", kaggle.slug, "--data", "data/h02a5a", "--quiet"]
    fails(capsys, args, 4, f"Kaggle refuses {CSV}: Evaluation Exception", "the file is kept")
    assert log()[-1]["status"] == "error"
    assert log()[-1]["reason"] == "Evaluation Exception"


def test_in_a_kaggle_notebook(world, capsys, monkeypatch, tmp_path):
    """The data are found, the file is where Kaggle looks for it, and nothing is uploaded."""
    (tmp_path / "kaggle" / "working").mkdir(parents=True)
    shutil.move("data/h02a5a", tmp_path / "kaggle" / "input" / "ga-2")
    found = tmp_path / "kaggle" / "input" / "ga-2"
    for name in ("cls", "seg"):
        config = Path("runs") / name / "one" / "config.toml"
        config.write_text(config.read_text().replace("data/h02a5a", str(found)))
    for module in ("unseen", "submit"):
        monkeypatch.setattr(f"vocctl.tasks.{module}.KAGGLE_INPUT", tmp_path / "kaggle" / "input")
    monkeypatch.setattr("vocctl.tasks.submit.KAGGLE_WORKING", tmp_path / "kaggle" / "working")
    assert main(["submit"]) == 0
    assert "submit the notebook's output" in capsys.readouterr().out
    assert len(read_table(tmp_path / "kaggle" / "working" / "submission.csv")) == 12


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--check", "a.csv", "--history"], 2, "exclude each other"),
        (["--score", "a.csv"], 2, "--truth DATA belong together"),
        (["--check", "a.csv", "--dry-run"], 2, "uses no run"),
        (["--file", "a.csv", "--dry-run"], 2, "--file uses no run"),
        (["--file", "a.csv", "--seg", "one"], 2, "--file uses no run"),
        (["--file", "a.csv", "--wait", "inf"], 2, "--wait is a number of seconds, got inf"),
        (["--check", "a.csv"], 3, "a.csv is no file"),
        (["--file", "a.csv"], 3, "a.csv can't be read"),
        (["--competition", "A b", "--dry-run"], 2, "names no competition"),
        (["--data", "nowhere", "--dry-run"], 3, "nowhere is no folder"),
        (["--competition", "some-slug", "--dry-run"], 3, "vocctl download some-slug"),
        (["--cls", "nobody", "--dry-run"], 3, "no run nobody"),
        (["--seg", "runs/cls/one", "--dry-run"], 3, "is a run of train-cls, not of train-seg"),
        (["--tta", "five", "--dry-run"], 2, "--tta is one of"),
        (["--out", "data", "--dry-run"], 2, "is there already"),
    ],
)
def test_what_a_user_may_get_wrong(world, capsys, args, code, says):
    fails(capsys, ["submit", *args, "--quiet"], code, says)


def test_an_order_of_its_own_is_the_sample_files(world):
    names = [f"{number}_{half}" for half in ("classification", "segmentation") for number in range(6)]
    Path("data/h02a5a/sample_submission.csv").write_text("Id,Predicted\n" + "".join(f"{name},\n" for name in names))
    assert main(["submit", "--dry-run", "--quiet"]) == 0
    assert list(read_table(CSV)) == names


def test_the_masks_are_those_of_the_model_at_the_images_own_size(world):
    """What the csv says of a image is what the model says of it, found without submit."""
    import torch

    from vocctl.competition.fusion import argmax_labels
    from vocctl.data.cache import cached_split
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
        labels = labels_of_runs(parse_run_lengths(rows[f"{index}_segmentation"]), 40, 50)
        assert (labels == argmax_labels(probs)).mean() > 0.98
