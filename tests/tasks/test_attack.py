"""Attacks on trained runs end to end: tables, saved images that score the same, transfer, goals, and wrong words."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vocctl.cli.app import main
from vocctl.config import AttackConfig, EvalOptions
from vocctl.errors import ConfigError, DataError
from vocctl.robustness.benchmark import AttackBenchmark, read_ground_truth
from vocctl.robustness.outcomes import AttackedPredictions
from vocctl.robustness.victims import open_victim
from vocctl.tasks import evaluate_cls, evaluate_seg
from vocctl.tasks.attack import attack, transfer


def scored(result, name: str, eps: str) -> dict[str, float]:
    (row,) = (row for row in result.rows if (row.attack, row.eps) == (name, eps))
    return row.scores


def test_a_segmenter_under_attack(runs: dict[str, Path], tmp_path: Path) -> None:
    config = AttackConfig(attack=("noise", "fgsm", "cospgd-10", "sea-10"), eps=("2/255", "64/255"))
    result = attack([str(runs["seg"])], config, save=tmp_path / "saved")
    clean = scored(result, "clean", "0")["mean_iou"]
    assert clean == pytest.approx(evaluate_seg.evaluate(str(runs["seg"])).main_score)
    assert (
        scored(result, "cospgd-10", "64/255")["mean_iou"] < 0.1 * clean < scored(result, "noise", "2/255")["mean_iou"]
    )
    worst = scored(result, "worst case", "64/255")["image_accuracy"]
    assert worst <= min(scored(result, name, "64/255")["image_accuracy"] for name in config.attack)
    assert sum(result.worst_by["64/255"].values()) == pytest.approx(1)
    strongest = next(row for row in result.rows if (row.attack, row.eps) == ("cospgd-10", "64/255"))
    assert 255 * strongest.distortion["linf_max"] == pytest.approx(64)
    assert strongest.fooling_rates["fooled"] > 0.8
    held = {path.name for path in result.folder.iterdir()}
    pictures = {"robustness.png", *(f"{name}.png" for name in config.attack)}
    kept = {f"{kind}{part}" for kind in ("", "labels-") for part in ("clean", "adversarial")}
    assert held == {"attack.json", "table.csv", *kept, *pictures}
    assert len(list((result.folder / "labels-adversarial").iterdir())) == 4
    assert all(check.passed for check in result.sanity), result.sanity
    again = evaluate_seg.evaluate(str(runs["seg"]), EvalOptions(data=tmp_path / "saved" / "cospgd-10-64-255"))
    assert again.scores.mean_iou == scored(result, "cospgd-10", "64/255")["mean_iou"]
    manifest = json.loads((tmp_path / "saved" / "cospgd-10-64-255" / "manifest.json").read_text())
    assert manifest["eps"] == "64/255"


def test_what_an_ensemble_shares_is_made_once_and_is_the_same(runs: dict[str, Path]) -> None:
    members, looks = ("sea-js-3", "sea-masked-3", "sea-balanced-3"), []
    flags = {"eps": ("4/255", "16/255"), "images": 4}
    apart = {
        name: attack([str(runs["seg"])], AttackConfig(attack=(name,), **flags)).rows for name in ("sea-3", *members)
    }
    together = attack(
        [str(runs["seg"])],
        AttackConfig(attack=(members[0], "sea-3", *members[1:]), **flags),
        on_work=lambda *look: looks.append(look),
    )
    for name, rows in apart.items():
        assert [row for row in together.rows if row.attack == name] == rows[1:]
    assert looks[-1] == (24, 24)  # three members, two budgets, four images
    assert len({done for done, _ in looks}) == len(looks)  # none beyond the end


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_classifier_under_attack(runs: dict[str, Path], tmp_path: Path, norm: str) -> None:
    eps = {"linf": ("0.3",), "l2": ("8",)}[norm]
    names = ("noise", "pgd-20x2", "apgd-20", "segpgd-10", "cospgd-10", "square-60")
    result = attack([str(runs["cls"])], AttackConfig(attack=names, eps=eps, norm=norm), save=tmp_path / "saved")
    assert scored(result, "clean", "0")["map_sklearn"] == 1
    assert scored(result, "apgd-20", eps[0])["sample_f1"] < 0.8
    assert scored(result, "worst case", eps[0])["sample_f1"] <= scored(result, "apgd-20", eps[0])["sample_f1"] + 1e-9
    again = evaluate_cls.evaluate([str(runs["cls"])], EvalOptions(data=tmp_path / "saved" / f"apgd-20-{eps[0]}"))
    for name in ("map_sklearn", "sample_f1"):
        assert again.scores[name] == pytest.approx(scored(result, "apgd-20", eps[0])[name])
    row = next(row for row in result.rows if row.attack == "apgd-20")
    assert row.distortion["linf_max" if norm == "linf" else "l2_max"] <= float(eps[0]) + 1e-4


def test_the_same_seed_gives_the_same_images_and_a_subset_is_fixed(runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("pgd-3", "noise"), eps=("8/255",), images=3)
    one, same = (attack([str(runs["seg"])], config) for _ in range(2))
    assert str(one.rows) == str(same.rows)  # nan is not equal to itself
    assert one.images == 3
    other = attack([str(runs["seg"])], AttackConfig(attack=("pgd-3", "noise"), eps=("8/255",), images=3, seed=5))
    assert str(other.rows) != str(one.rows)


def test_budgets_are_put_in_order_whatever_order_they_are_typed_in(runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("fgsm", "noise"), eps=("16/255", "2/255", "16px"), images=4)
    result = attack([str(runs["seg"])], config)
    assert [row.eps for row in result.rows] == ["0", *["2/255"] * 3, *["16/255"] * 3]
    kept = json.loads((result.folder / "attack.json").read_text())["kept"]
    assert (kept["attack"], kept["eps"]) == ("fgsm", "16/255")


def test_a_black_box_is_held_against_gradients_also_where_it_is_alone(runs: dict[str, Path]) -> None:
    result = attack([str(runs["seg"])], AttackConfig(attack=("square-20",), eps=("8/255",), images=3))
    assert "black box" in [check.name for check in result.sanity]


def test_in_l2_a_check_says_what_rounding_left_of_the_budget(runs: dict[str, Path]) -> None:
    result = attack([str(runs["seg"])], AttackConfig(attack=("pgd-3",), eps=("0.1", "9"), norm="l2", images=3))
    assert "rounding" not in [check.name for check in result.sanity]  # the largest budget is levels wide
    result = attack([str(runs["seg"])], AttackConfig(attack=("pgd-3",), eps=("0.1",), norm="l2", images=3))
    assert "of the budget of 0.10 is left" in next(
        check.measured for check in result.sanity if check.name == "rounding"
    )


def test_against_prediction_a_classifier_decides_by_its_thresholds(runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("fgsm",), reference="prediction")
    target = open_victim([str(runs["cls"])], "best", None)
    truth, source, _ = read_ground_truth(target, config, None, None)
    unsure = AttackedPredictions(np.zeros(len(truth.ids)), probs=np.full((len(truth.ids), 20), 0.4))
    for limit, decided in ((0.3, 1), (0.5, 0)):
        bench = AttackBenchmark(target, source.root, truth, unsure, np.full(20, limit), config, {}, lambda more: None)
        (term,) = bench.attack_goal([0]).terms
        assert (term.labels == decided).sum() >= 19  # where none is reached the most probable is decided


def test_goals_are_reached(runs: dict[str, Path]) -> None:
    for name in ("cls", "seg"):
        toward = attack([str(runs[name])], AttackConfig(attack=("cospgd-30",), eps=("0.5",), goal="target:bicycle"))
        assert toward.rows[-1].fooling_rates["match"] > 0.9
        assert toward.rows[0].fooling_rates["match"] < toward.rows[-1].fooling_rates["match"]
        assert {"zero gradients", "more steps", "noise"} <= {check.name for check in toward.sanity}
        hide = attack([str(runs[name])], AttackConfig(attack=("pgd-30", "noise"), eps=("0.5",), goal="hide:aeroplane"))
        assert hide.rows[1].fooling_rates["match"] > 0.9
        kept = json.loads((hide.folder / "attack.json").read_text())["kept"]
        assert kept["attack"] == "pgd-30"


def test_another_evaluation_stands_beside_and_the_same_one_again_in_its_place(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    one = AttackConfig(attack=("fgsm",), eps=("8/255",), images=5)
    first = attack([str(runs["seg"])], one).folder
    before = (first / "attack.json").read_text()
    for other in (AttackConfig(attack=("noise",), eps=("8/255",), images=5), replace(one, reference="prediction")):
        folder = attack([str(runs["seg"])], other).folder
        assert folder != first
        assert folder.name.startswith("tiny-val-linf-5-")
    assert attack([str(runs["seg"])], one).folder == first
    assert (first / "attack.json").read_text() == before
    shutil.copytree(runs["data"], tmp_path / "tiny")  # other images, for all that is known, under the same name
    assert attack([str(runs["seg"])], one, data=tmp_path / "tiny").folder not in (first, folder)
    assert (
        attack([str(runs["seg"])], replace(one, attack=("fgsm", "fgsm"))).rows[1:]
        == attack([str(runs["seg"])], one).rows[1:]
    )


def test_saved_images_of_others_are_left_alone(runs: dict[str, Path], tmp_path: Path) -> None:
    config = AttackConfig(attack=("fgsm",), eps=("8/255",), images=2)
    for _ in range(2):  # the same again
        attack([str(runs["seg"])], config, save=tmp_path / "saved")
    kept = (tmp_path / "saved" / "fgsm-8-255" / "manifest.json").read_bytes()
    with pytest.raises(ConfigError, match="holds other images"):
        attack([str(runs["cls"])], config, save=tmp_path / "saved")
    with pytest.raises(ConfigError, match="holds other images"):
        attack([str(runs["seg"])], replace(config, images=3), save=tmp_path / "saved")
    with pytest.raises(ConfigError, match="holds other images"):
        attack([str(runs["seg"])], config, save=tmp_path / "saved", checkpoint="final")
    (tmp_path / "own" / "fgsm-8-255").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds other images"):
        attack([str(runs["seg"])], config, save=tmp_path / "own")
    assert (tmp_path / "saved" / "fgsm-8-255" / "manifest.json").read_bytes() == kept


def test_images_saved_of_images_held_out_are_read_back_by_the_run(runs: dict[str, Path], tmp_path: Path) -> None:
    flags = ["--encoder", "scratch", "--size", "32", "--size-from", "0", "--epochs", "1", "--batch", "4", "--quiet"]
    assert main(["train-seg", "--data", str(runs["data"]), "--val", "0.4", "--out", str(tmp_path / "run"), *flags]) == 0
    result = attack([str(tmp_path / "run")], AttackConfig(attack=("fgsm",), eps=("8/255",)), save=tmp_path / "saved")
    again = evaluate_seg.evaluate(str(tmp_path / "run"), EvalOptions(data=tmp_path / "saved" / "fgsm-8-255"))
    assert again.scores.mean_iou == scored(result, "fgsm", "8/255")["mean_iou"]
    with pytest.raises(DataError, match="validated on different images"):
        transfer([str(runs["seg"]), str(tmp_path / "run")], AttackConfig(attack=("fgsm",), eps=("8/255",)))


def test_what_looks_at_no_target_has_one_row_in_a_transfer_matrix(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["seg"], tmp_path / "two")
    names = [str(runs["seg"]), str(tmp_path / "two")]
    blind, looking = transfer(names, AttackConfig(attack=("noise", "fgsm"), eps=("8/255",), images=2))
    assert list(blind.scores) == ["noise"]
    assert list(looking.scores) == ["seg", "two"]
    assert set(blind.sanity) == {"seg", "two"}
    assert all(checks for checks in blind.sanity.values())


def test_transfer_and_ensembles(runs: dict[str, Path]) -> None:
    names = [str(runs["seg"]), str(runs["seg"])]
    (matrix,) = transfer(names, AttackConfig(attack=("pgd-5",), eps=("32/255",)))
    assert matrix.scores["seg"]["seg"] < matrix.clean["seg"]
    held = {path.name for path in matrix.folder.iterdir()}
    assert held == {"transfer.json", f"{matrix.folder.name}-pgd-5-32-255.png"}
    whole = attack(names, AttackConfig(attack=("pgd-5",), eps=("32/255",)))
    assert whole.folder.name.endswith("-ensemble")
    assert scored(whole, "pgd-5", "32/255")["mean_iou"] < scored(whole, "clean", "0")["mean_iou"]


def test_runs_whose_folders_have_one_name_have_rows_of_their_own(runs: dict[str, Path], tmp_path: Path) -> None:
    for place in ("one", "two"):
        shutil.copytree(runs["seg"], tmp_path / place / "seg")
    names = [str(tmp_path / place / "seg") for place in ("one", "two")]
    (matrix,) = transfer(names, AttackConfig(attack=("fgsm",), eps=("8/255",), images=2))
    assert matrix.runs == ("one/seg", "two/seg")
    assert matrix.scores["one/seg"].keys() == {"one/seg", "two/seg"}


@pytest.mark.parametrize(
    ("attacks", "flags", "said"),
    [
        ("pdg-20", [], "did you mean pgd"),
        ("pgd-0", [], "1 or more"),
        ("fgsm-3", [], "no number"),
        ("square-9x3", [], "restarts"),
        ("sea-3", [], "for segmenters"),
        ("adv:", [], "adv:RUN"),
        ("pgd-3", ["--eps", "8/256px/2"], "8/255, 8px or 0.03"),
        ("pgd-3", ["--eps", "-1"], "above 0"),
        ("pgd-3", ["--eps", "0.5px"], "1/255 or more"),
        ("pgd-3", ["--eps", "8"], "8px or 8/255"),
        ("pgd-3", ["--goal", "target:dgo"], "did you mean dog"),
        ("pgd-3", ["--goal", "hide"], "target:CLASS"),
        ("pgd-3", ["--norm", "l1"], "linf, l2"),
        ("pgd-3", ["--tta", "flip"], "--tta"),
        ("pgd-3", ["--transfer"], "two runs"),
    ],
)
def test_wrong_words_end_in_one_line(
    runs: dict[str, Path], attacks: str, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(runs["cls"]), "--attack", attacks, *flags]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.strip().splitlines()) == 1


def test_attack_words_without_an_attack(runs, capsys) -> None:
    assert main(["eval", str(runs["cls"]), "--eps", "8/255"]) == 2
    assert "name one" in capsys.readouterr().err


def test_runs_of_two_tasks_are_not_attacked_as_one(runs) -> None:
    with pytest.raises(ConfigError, match="all classifiers or all segmenters"):
        attack([str(runs["cls"]), str(runs["seg"])], AttackConfig(attack=("fgsm",)))


def test_the_command_prints_its_table(runs, capsys) -> None:
    assert main(["eval", str(runs["seg"]), "--attack", "fgsm,noise", "--eps", "8px", "--images", "2", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "worst case" in shown
    assert "sanity, noise" in shown
    assert main(["eval", str(runs["seg"]), "--attack", "fgsm", "--eps", "8px", "--images", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["attack"] for row in rows] == ["clean", "fgsm"]
    assert np.isclose(rows[1]["visibility"]["linf_max"], 8 / 255)
