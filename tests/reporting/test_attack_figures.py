"""Figures of attacks: of a record, of a real attack, and of several runs together."""

import json
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


def edit(run: Path, **changes: object) -> None:
    path = run / "attacks" / "pgd" / "attack.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def figures(*runs: Path) -> list[str]:
    return [path.name for path in plot([str(run) for run in runs], kinds=["robustness"])]


def test_one_figure_of_each_kind(trained, attacked) -> None:
    attacked(trained.seg)
    paths = plot([str(trained.seg)], kinds=KINDS)
    assert [path.name for path in paths] == ["adversarial-pgd.png", "robustness-pgd.png"]
    assert all(min(Image.open(path).size) > 300 for path in paths)


@pytest.mark.parametrize("name", ["seg", "cls"])
def test_figures_of_a_real_attack(attackable_runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    shutil.copytree(
        attackable_runs[name], tmp_path / name, ignore=shutil.ignore_patterns("attacks")
    )  # those of other tests
    result = attack([str(tmp_path / name)], AttackConfig(attack=("noise", "pgd-3"), eps=("4/255", "32/255")))
    (record,) = attack_records(tmp_path / name)
    assert record.clean_score == result.rows[0].scores[result.metric]
    assert record.curves()["pgd-3"][1][1] == result.rows[-2].scores[result.metric]
    transfer([str(tmp_path / name)] * 2, AttackConfig(attack=("fgsm",), eps=("32/255",)))
    names = [path.name for path in plot([str(tmp_path / name)], kinds=KINDS, options=PlotOptions(format="svg"))]
    assert len(names) == 3
    assert names[2].endswith("2-runs-fgsm-32-255.svg")


def test_runs_are_compared_under_the_same_protocol_only(trained, attacked, tmp_path: Path) -> None:
    attacked(trained.seg)
    other = tmp_path / "robust"
    shutil.copytree(trained.seg, other)
    text = (other / "config.toml").read_text()
    (other / "config.toml").write_text(text.replace('loss = "ce+dice"', 'loss = "dice"'))
    assert figures(trained.seg, other)[-1] == "robustness-pgd-seg+robust.png"
    shutil.copytree(other / "attacks" / "pgd", other / "attacks" / "pgd-2")  # the name of the folder does not matter
    edit(other, checkpoint="final")
    assert figures(trained.seg, other)[-1] == "robustness-pgd-seg+robust.png"
    shutil.rmtree(other / "attacks" / "pgd-2")
    assert figures(trained.seg, other) == ["robustness-pgd.png"] * 2


def test_worst_case_over_several_evaluations_is_left_out(trained, attacked) -> None:
    attacked(trained.seg)
    rows = json.loads((trained.seg / "attacks" / "pgd" / "attack.json").read_text())["rows"]
    edit(trained.seg, rows=[*rows, rows[-1] | {"attack": "worst case"}])
    (record,) = attack_records(trained.seg)
    assert merge_lines([record]).keys() == {"pgd", "worst case"}
    assert merge_lines([record])["pgd"] == (pytest.approx([0, 2, 8]), [0.75, 0.5, 0.125])
    assert merge_lines([record, record]).keys() == {"pgd"}


def test_undefined_scores_are_drawn(trained, attacked) -> None:
    attacked(trained.seg)
    rows = json.loads((trained.seg / "attacks" / "pgd" / "attack.json").read_text())["rows"]
    edit(trained.seg, rows=[row | {"scores": {"mean_iou": None}} for row in rows])
    assert figures(trained.seg) == ["robustness-pgd.png"]


def test_runs_without_an_attack_or_with_a_corrupt_one_are_reported(trained, attacked) -> None:
    with pytest.raises(NothingToPlot, match="has no attacks: run `vocctl eval"):
        figures(trained.seg)
    attacked(trained.seg)
    edit(trained.seg, rows=[3])
    for kind in KINDS:
        with pytest.raises(DataError, match="is corrupt: attack again"):
            plot([str(trained.seg)], kinds=[kind])
