"""Figures of attacks: drawn from the files of an attack; several runs in one figure."""

import json
import math
import shutil
from pathlib import Path

import pytest
from PIL import Image

from vocctl.config import AttackConfig
from vocctl.errors import DataError
from vocctl.reporting.attack_figures import merge_lines
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.attacks import attack_records
from vocctl.tasks.attack import attack, transfer
from vocctl.tasks.plot import plot

KINDS = ["adversarial", "robustness"]


def test_figures_have_the_numbers_of_the_attack(trained, attacked) -> None:
    attacked(trained.seg)
    (record,) = attack_records(trained.seg)
    assert record.lines() == {"pgd": ([pytest.approx(2), pytest.approx(8)], [0.5, 0.125])}
    assert (record.score, record.clean) == ("mean_iou", 0.75)
    first, _ = record.cases()
    assert (first.image_id, first.image[0, 0].tolist(), first.adversarial[0, 0].tolist()) == (
        "tiny_012",
        [255, 0, 0],
        [0, 128, 0],
    )
    assert (first.adversarial_output == 15).all()
    paths = plot([str(trained.seg)], kinds=KINDS)
    assert [path.name for path in paths] == ["adversarial-pgd.png", "robustness-pgd.png"]
    assert all(min(Image.open(path).size) > 300 for path in paths)


def test_attack_on_each_task(runs: dict[str, Path], tmp_path: Path) -> None:
    for name in ("seg", "cls"):
        shutil.copytree(runs[name], tmp_path / name, ignore=shutil.ignore_patterns("attacks"))  # of other tests
        config = AttackConfig(attack=("noise", "pgd-3"), eps=("4/255", "32/255"))
        result = attack([str(tmp_path / name)], config)
        (record,) = attack_records(tmp_path / name)
        score = "mean_iou" if name == "seg" else "map_sklearn"
        assert record.clean == result.rows[0].scores[score]
        assert record.lines()["pgd-3"][1][1] == result.rows[-2].scores[score]
        assert record.cases()[0].clean_output is not None
        transfer([str(tmp_path / name)] * 2, AttackConfig(attack=("fgsm",), eps=("32/255",)))
        file_names = [
            path.name for path in plot([str(tmp_path / name)], kinds=KINDS, options=PlotOptions(format="svg"))
        ]
        assert len(file_names) == 3
        assert file_names[2].endswith("2-runs-fgsm-32-255.svg")


def test_two_runs_in_one_figure(trained, attacked, tmp_path: Path) -> None:
    attacked(trained.seg)
    variant = tmp_path / "variant"
    shutil.copytree(trained.seg, variant)
    text = (variant / "config.toml").read_text()
    (variant / "config.toml").write_text(text.replace('loss = "ce+dice"', 'loss = "dice"'))
    paths = plot([str(trained.seg), str(variant)], kinds=["robustness"])
    assert paths[-1].name == "robustness-pgd-2-seg-runs.png"
    path = variant / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"checkpoint": "final"}))  # other weights: not comparable
    assert [path.name for path in plot([str(trained.seg), str(variant)], kinds=["robustness"])] == [
        "robustness-pgd.png"
    ] * 2
    more = variant / "attacks" / "pgd-2"  # the same protocol in a folder with another name
    shutil.copytree(path.parent, more)
    (more / "attack.json").write_text(json.dumps(about))
    assert plot([str(trained.seg), str(variant)], kinds=["robustness"])[-1].name == "robustness-pgd-2-seg-runs.png"


def test_worst_case_is_left_out_over_several_evaluations(trained, attacked) -> None:
    attacked(trained.seg)
    path = trained.seg / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    about["rows"].append({"attack": "worst case", "eps": "8/255", "scores": {"mean_iou": 0.1}})
    path.write_text(json.dumps(about))
    (record,) = attack_records(trained.seg)
    assert merge_lines([record]).keys() == {"pgd", "worst case"}
    assert merge_lines([record, record]).keys() == {"pgd"}


def test_undefined_score_can_be_drawn(trained, attacked) -> None:
    attacked(trained.seg)
    path = trained.seg / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    for row in about["rows"]:
        row["scores"]["mean_iou"] = None
    path.write_text(json.dumps(about))
    (record,) = attack_records(trained.seg)
    assert math.isnan(record.clean)
    assert [path.name for path in plot([str(trained.seg)], kinds=["robustness"])] == ["robustness-pgd.png"]


def test_missing_and_corrupt_attacks(trained, attacked) -> None:
    with pytest.raises(NothingToPlot, match="has no attacks: run `vocctl eval"):
        plot([str(trained.seg)], kinds=["robustness"])
    attacked(trained.seg)
    path = trained.seg / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    for corrupt in ("{", json.dumps(about | {"rows": [3]}), json.dumps([1]), json.dumps({"rows": []})):
        path.write_text(corrupt)
        with pytest.raises(DataError, match="attack again"):
            plot([str(trained.seg)], kinds=KINDS)
    path.write_text(json.dumps(about))
    (trained.seg / "attacks" / "pgd" / "adversarial" / "tiny_012.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="tiny_012"):
        plot([str(trained.seg)], kinds=["adversarial"])
