"""Corruptions on trained runs end to end: what is written, stopping and continuing, reports, and wrong options."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from vocctl.cli.app import main
from vocctl.config import EvalOptions
from vocctl.config.corruptions import CorruptionConfig
from vocctl.errors import Interrupted
from vocctl.runs.corruptions import read_corruptions
from vocctl.tasks import evaluate_cls, evaluate_seg
from vocctl.tasks.corrupt import corrupt
from vocctl.tasks.report import report

CONFIG = CorruptionConfig(corruption=("contrast", "gaussian_noise"), severity=(5, 1))


@pytest.fixture
def runs(attackable_runs: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Copies that a test may change."""
    for name in ("seg", "cls"):
        shutil.copytree(attackable_runs[name], tmp_path / name, ignore=shutil.ignore_patterns("attacks", "eval"))
    return {name: tmp_path / name for name in ("seg", "cls")}


@pytest.mark.parametrize("name", ["seg", "cls"])
def test_scores_and_files_of_a_run(runs: dict[str, Path], name: str) -> None:
    record = corrupt(str(runs[name]), CONFIG)
    evaluate = evaluate_seg.evaluate if name == "seg" else lambda run: evaluate_cls.evaluate([run])
    assert record.clean_score == pytest.approx(evaluate(str(runs[name])).main_score)
    assert (record.kinds, record.severities) == (("gaussian_noise", "contrast"), (1, 5))
    assert record.score("gaussian_noise", 5) <= record.clean_score
    assert len(set(map(str, record.cells.values()))) > 1
    assert record.missing_cells == []
    assert record.folder == runs[name] / "corruptions" / "tiny-val"
    assert {path.name for path in record.folder.iterdir()} == {
        "corruption.json", "table.csv", "curves.png", "images.png",
    }  # fmt: skip
    assert read_corruptions(record.folder) == record
    for figure in ("curves.png", "images.png"):
        with Image.open(record.folder / figure) as image:
            assert min(image.size) > 300


def test_a_stopped_evaluation_continues_with_the_next_cell(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["seg"], tmp_path / "whole")
    expected = corrupt(str(tmp_path / "whole"), CONFIG)
    totals: list[int] = []

    def stop_in_the_third_cell(done: int, total: int) -> None:
        totals.append(total)
        if done > 13:  # 4 clean images, and 4 of each cell
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"2 of 4 cells are stored in .*tiny-val; the same command continues"):
        corrupt(str(runs["seg"]), CONFIG, on_progress=stop_in_the_third_cell)
    assert totals[-1] == 20
    assert len(read_corruptions(runs["seg"] / "corruptions" / "tiny-val").cells) == 2
    page = report([str(runs["seg"])], tmp_path / "report.html").read_text()
    assert "2 of 4 cells are missing" in page
    record = corrupt(str(runs["seg"]), CONFIG, on_progress=lambda done, total: totals.append(total))
    assert totals[-1] == 8  # two cells were left
    assert (record.clean, record.cells) == (expected.clean, expected.cells)
    finished = len(totals)
    assert corrupt(str(runs["seg"]), CONFIG, on_progress=lambda done, total: totals.append(total)) == record
    assert len(totals) == finished  # nothing was scored again


def test_figures_of_other_weights_do_not_stay(runs: dict[str, Path]) -> None:
    record = corrupt(str(runs["seg"]), CONFIG)
    shutil.copy(runs["seg"] / "final.safetensors", runs["seg"] / "best.safetensors")

    def stop(done: int, total: int) -> None:
        if done > 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="0 of 4 cells"):
        corrupt(str(runs["seg"]), CONFIG, on_progress=stop)
    assert {path.name for path in record.folder.iterdir()} == {"corruption.json", "table.csv"}


def test_more_cells_of_the_same_images_are_added(runs: dict[str, Path]) -> None:
    first = corrupt(str(runs["cls"]), CONFIG)
    second = corrupt(str(runs["cls"]), replace(CONFIG, corruption=("fog",), severity=(1,)))
    assert second.folder == first.folder
    assert second.cells.keys() == {*first.cells, ("fog", 1)}
    assert second.kinds == ("fog",)


def test_a_subset_and_its_seed_have_folders_of_their_own(runs: dict[str, Path]) -> None:
    config = CorruptionConfig(corruption=("contrast",), severity=(1,), images=2)
    names = [corrupt(str(runs["cls"]), replace(config, seed=seed)).folder.name for seed in (0, 1)]
    assert names == ["tiny-val-2", "tiny-val-2-seed1"]
    other = corrupt(str(runs["cls"]), config, EvalOptions(split="train", checkpoint="final"))
    assert other.folder.name == "tiny-train-final-2"


def test_report_has_the_table_and_the_figures(runs: dict[str, Path], tmp_path: Path) -> None:
    corrupt(str(runs["seg"]), CONFIG)
    page = report([str(runs["seg"])], tmp_path / "report.html").read_text()
    for text in (
        "Corruptions tiny-val: mean IoU",
        "gaussian_noise",
        "arXiv 1903.12261",
        "Corruptions tiny-val: curves",
    ):
        assert text in page


def test_command_prints_its_table(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", str(runs["seg"]), "--corruption", "fog,contrast,snow", "--severity", "3,1", "--images", "2"]
    assert main([*command, "--quiet"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "by severity: tiny val, 2 images",
        "mean of weather",
        "mean corruption score: ",
        "Saved corruption.json",
    ):
        assert text in printed
    assert printed.index("snow") < printed.index("fog") < printed.index("contrast")
    assert "mean of digital" not in printed  # of one corruption
    assert main([*command, str(runs["cls"]), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["metric"] for line in lines] == ["mean_iou", "map_sklearn"]
    assert [(cell["corruption"], cell["severity"]) for cell in lines[0]["cells"]] == [
        ("snow", 1), ("snow", 3), ("fog", 1), ("fog", 3), ("contrast", 1), ("contrast", 3),
    ]  # fmt: skip
    clean, mean = lines[0]["clean"]["mean_iou"], lines[0]["means"]["corruption_score"]
    assert lines[0]["relative_drops"]["corruption_score"] == pytest.approx((clean - mean) / clean)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--corruption", "fgo"], "did you mean fog"),
        (["--corruption", ""], "name at least one --corruption"),
        (["--corruption", "all", "--severity", "0"], "from 1 to 5"),
        (["--corruption", "all", "--severity", "6"], "from 1 to 5"),
        (["--corruption", "all", "--severity", "high"], "from 1 to 5"),
        (["--corruption", "all", "--severity", ","], "name at least one --severity"),
        (["--corruption", "all", "--attack", "fgsm"], "--attack cannot be combined with --corruption"),
        (["--corruption", "all", "--eps", "8px"], "--corruption cannot be combined with --eps"),
        (["--corruption", "all", "--tta", "flip"], "--corruption cannot be combined with --tta"),
        (["--corruption", "all", "--ensemble"], "--corruption cannot be combined with --ensemble"),
        (["--severity", "3"], "--severity requires --corruption"),
        (["--images", "3", "--seed", "1"], "--images, --seed require --attack or --corruption"),
    ],
)
def test_wrong_options_end_in_one_error_line(
    attackable_runs: dict[str, Path], flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(attackable_runs["cls"]), *flags]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1
