"""Pictures of attacks: drawn from what an attack left, by hand and by a real one; runs beside each other."""

import json
import math
import shutil
from pathlib import Path

import pytest
from PIL import Image

from vocctl.config import AttackConfig
from vocctl.errors import DataError
from vocctl.reporting.attack_figures import _lines
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.attacks import attack_records
from vocctl.tasks.attack import attack, transfer
from vocctl.tasks.plot import plot

KINDS = ["adversarial", "robustness"]


def test_what_is_drawn_is_what_was_left(trained, attacked) -> None:
    attacked(trained.seg)
    (seen,) = attack_records(trained.seg)
    assert seen.lines() == {"pgd": ([pytest.approx(2), pytest.approx(8)], [0.5, 0.125])}
    assert (seen.score, seen.clean) == ("mean_iou", 0.75)
    first, _ = seen.cases()
    assert (first.image_id, first.image[0, 0].tolist(), first.adv[0, 0].tolist()) == (
        "tiny_012",
        [255, 0, 0],
        [0, 128, 0],
    )
    assert (first.after == 15).all()
    drawn = plot([str(trained.seg)], what=KINDS)
    assert [path.name for path in drawn] == ["adversarial-pgd.png", "robustness-pgd.png"]
    assert all(min(Image.open(path).size) > 300 for path in drawn)


def test_a_real_attack_on_each_task(runs: dict[str, Path], tmp_path: Path) -> None:
    for name in ("seg", "cls"):
        shutil.copytree(runs[name], tmp_path / name, ignore=shutil.ignore_patterns("attacks"))  # of other tests
        config = AttackConfig(attack=("noise", "pgd-3"), eps=("4/255", "32/255"))
        result = attack([str(tmp_path / name)], config)
        (seen,) = attack_records(tmp_path / name)
        score = "mean_iou" if name == "seg" else "map_sklearn"
        assert seen.clean == result.rows[0].scores[score]
        assert seen.lines()["pgd-3"][1][1] == result.rows[-2].scores[score]
        assert seen.cases()[0].before is not None
        transfer([str(tmp_path / name)] * 2, AttackConfig(attack=("fgsm",), eps=("32/255",)))
        drawn = [path.name for path in plot([str(tmp_path / name)], what=KINDS, wish=PlotOptions(format="svg"))]
        assert len(drawn) == 3
        assert drawn[2].endswith("2-runs-fgsm-32-255.svg")


def test_two_runs_are_drawn_beside_each_other(trained, attacked, tmp_path: Path) -> None:
    attacked(trained.seg)
    other = tmp_path / "hardened"
    shutil.copytree(trained.seg, other)
    text = (other / "config.toml").read_text()
    (other / "config.toml").write_text(text.replace('loss = "ce+dice"', 'loss = "dice"'))
    drawn = plot([str(trained.seg), str(other)], what=["robustness"])
    assert drawn[-1].name == "robustness-pgd-2-seg-runs.png"
    path = other / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"checkpoint": "final"}))  # of other weights: not to be compared
    assert [path.name for path in plot([str(trained.seg), str(other)], what=["robustness"])] == [
        "robustness-pgd.png"
    ] * 2
    more = other / "attacks" / "pgd-2"  # by whatever name, what was attacked alike is compared
    shutil.copytree(path.parent, more)
    (more / "attack.json").write_text(json.dumps(about))
    assert plot([str(trained.seg), str(other)], what=["robustness"])[-1].name == "robustness-pgd-2-seg-runs.png"


def test_the_worst_case_of_one_evaluation_is_not_that_of_several(trained, attacked) -> None:
    attacked(trained.seg)
    path = trained.seg / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    about["rows"].append({"attack": "worst case", "eps": "8/255", "scores": {"mean_iou": 0.1}})
    path.write_text(json.dumps(about))
    (one,) = attack_records(trained.seg)
    assert _lines([one]).keys() == {"pgd", "worst case"}
    assert _lines([one, one]).keys() == {"pgd"}


def test_an_undefined_score_is_drawn_as_such(trained, attacked) -> None:
    attacked(trained.seg)
    path = trained.seg / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    for row in about["rows"]:
        row["scores"]["mean_iou"] = None
    path.write_text(json.dumps(about))
    (seen,) = attack_records(trained.seg)
    assert math.isnan(seen.clean)
    assert [path.name for path in plot([str(trained.seg)], what=["robustness"])] == ["robustness-pgd.png"]


def test_what_was_not_attacked_or_is_broken_is_said(trained, attacked) -> None:
    with pytest.raises(NothingToPlot, match="was not attacked yet"):
        plot([str(trained.seg)], what=["robustness"])
    attacked(trained.seg)
    path = trained.seg / "attacks" / "pgd" / "attack.json"
    about = json.loads(path.read_text())
    for broken in ("{", json.dumps(about | {"rows": [3]}), json.dumps([1]), json.dumps({"rows": []})):
        path.write_text(broken)
        with pytest.raises(DataError, match="attack again"):
            plot([str(trained.seg)], what=KINDS)
    path.write_text(json.dumps(about))
    (trained.seg / "attacks" / "pgd" / "adversarial" / "tiny_012.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="tiny_012"):
        plot([str(trained.seg)], what=["adversarial"])
