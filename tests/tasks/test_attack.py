"""Attacks on trained runs end to end: what is written, saved images that score the same, transfer, and wrong options."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vocctl.cli.app import main
from vocctl.config import AttackConfig, EvalOptions
from vocctl.errors import ConfigError
from vocctl.runs.attacks import AttackRow, read_attack
from vocctl.tasks import evaluate_cls, evaluate_seg
from vocctl.tasks.attack import AttackResult, attack, transfer


def row_of(result: AttackResult, attack: str, eps: str) -> AttackRow:
    (row,) = (row for row in result.rows if (row.attack, row.eps) == (attack, eps))
    return row


def check_worst_case(result: AttackResult, attacks: tuple[str, ...], eps: str) -> None:
    """No score of the worst case is above, and no rate below, that of a single attack."""
    worst = row_of(result, "worst case", eps)
    for row in (row_of(result, name, eps) for name in attacks):
        assert row.scores.keys() == worst.scores.keys()
        assert all(worst.scores[name] <= score for name, score in row.scores.items())
        assert all(rate >= row.rates[name] for name, rate in worst.rates.items())


def test_segmenter_under_attack(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    config = AttackConfig(attack=("noise", "fgsm", "cospgd-10", "sea-10"), eps=("2/255", "64/255"))
    result = attack([str(attackable_runs["seg"])], config, save_adv=tmp_path / "saved")
    clean = result.rows[0].scores["mean_iou"]
    assert clean == pytest.approx(evaluate_seg.evaluate(str(attackable_runs["seg"])).main_score)
    strong = row_of(result, "cospgd-10", "64/255")
    assert strong.scores["mean_iou"] < 0.1 * clean < row_of(result, "noise", "2/255").scores["mean_iou"]
    for eps in config.eps:
        check_worst_case(result, config.attack, eps)
    assert sum(result.worst_attacks["64/255"].values()) == pytest.approx(1)
    assert 255 * strong.distortion["linf_max"] == pytest.approx(64)
    assert strong.rates["fooling_rate"] > 0.8
    assert all(check.passed for check in result.sanity), result.sanity
    again = evaluate_seg.evaluate(
        str(attackable_runs["seg"]), EvalOptions(data=tmp_path / "saved" / "cospgd-10-64-255")
    )
    assert again.main_score == strong.scores["mean_iou"]
    manifest = json.loads((tmp_path / "saved" / "cospgd-10-64-255" / "manifest.json").read_text())
    assert (manifest["eps"], manifest["victims"]) == ("64/255", [str(attackable_runs["seg"])])
    names = {path.name for path in result.folder.iterdir()}
    figures = {"robustness.png", *(f"{name}.png" for name in config.attack)}
    examples = {f"{kind}{part}" for kind in ("", "labels-") for part in ("clean", "adversarial")}
    assert names == {"attack.json", "table.csv", *examples, *figures}
    assert len(list((result.folder / "labels-adversarial").iterdir())) == 4


@pytest.mark.parametrize(("norm", "eps"), [("linf", "0.3"), ("l2", "8")])
def test_classifier_under_attack(attackable_runs: dict[str, Path], tmp_path: Path, norm: str, eps: str) -> None:
    attacks = ("noise", "pgd-20x2", "pgd-margin-10", "apgd-20", "segpgd-10", "cospgd-10", "square-60")
    config = AttackConfig(attack=attacks, eps=(eps,), norm=norm)
    result = attack([str(attackable_runs["cls"])], config, save_adv=tmp_path / "saved")
    assert result.rows[0].scores["map_sklearn"] == 1
    apgd, worst = (row_of(result, name, eps) for name in ("apgd-20", "worst case"))
    assert apgd.scores["sample_f1"] < 0.8
    check_worst_case(result, attacks, eps)
    assert {"prediction_change_rate", "label_flip_rate"} <= worst.rates.keys()
    again = evaluate_cls.evaluate(
        [str(attackable_runs["cls"])], EvalOptions(data=tmp_path / "saved" / f"apgd-20-{eps}")
    )
    for name in ("map_sklearn", "sample_f1"):
        assert again.scores[name] == pytest.approx(apgd.scores[name])
    assert apgd.distortion["linf_max" if norm == "linf" else "l2_max"] <= float(eps) + 1e-4


def test_strongest_attack_gives_the_examples(attackable_runs: dict[str, Path]) -> None:
    config = AttackConfig(attack=("fgsm", "noise"), eps=("16/255", "2/255"), images=2)
    examples = read_attack(attack([str(attackable_runs["seg"])], config).folder).load_examples()
    assert (examples.attack, examples.eps, len(examples.examples)) == ("fgsm", "16/255", 2)


def test_only_the_same_evaluation_replaces_its_folder(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    config = AttackConfig(attack=("fgsm",), eps=("8/255",), images=2)
    first = attack([str(attackable_runs["seg"])], config)
    before = (first.folder / "attack.json").read_text()
    folders = {first.folder}
    for changed in (replace(config, attack=("noise",)), replace(config, reference="prediction")):
        folders.add(attack([str(attackable_runs["seg"])], changed).folder)
    shutil.copytree(attackable_runs["data"], tmp_path / "tiny")  # a data set of the same name may have other images
    folders.add(attack([str(attackable_runs["seg"])], config, EvalOptions(data=tmp_path / "tiny")).folder)
    assert len(folders) == 4
    assert all(folder.name.startswith("tiny-val-linf-2") for folder in folders)
    assert attack([str(attackable_runs["seg"])], config).folder == first.folder
    assert (first.folder / "attack.json").read_text() == before
    assert attack([str(attackable_runs["seg"])], replace(config, attack=("fgsm", "fgsm"))).rows == first.rows


def test_model_free_attacks_have_one_row_in_a_transfer_matrix(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(attackable_runs["seg"], tmp_path / "two")
    names = [str(attackable_runs["seg"]), str(tmp_path / "two")]
    noise, fgsm = transfer(names, AttackConfig(attack=("noise", "fgsm"), eps=("8/255",), images=2))
    assert list(noise.scores) == ["noise"]
    assert list(fgsm.scores) == ["seg", "two"]
    assert fgsm.scores["seg"] == fgsm.scores["two"]  # the same run twice
    assert set(noise.sanity) == {"seg", "two"}
    assert all(noise.sanity.values())


def test_transfer_and_ensembles(attackable_runs: dict[str, Path]) -> None:
    names, progress = [str(attackable_runs["seg"]), str(attackable_runs["seg"])], []
    config = AttackConfig(attack=("pgd-5",), eps=("32/255",))
    (matrix,) = transfer(names, config, on_progress=lambda *counts: progress.append(counts))
    assert matrix.scores["seg"]["seg"] < matrix.clean["seg"]
    assert {path.name for path in matrix.folder.iterdir()} == {
        "transfer.json", f"{matrix.folder.name}-pgd-5-32-255.png",
    }  # fmt: skip
    assert progress[-1][0] == progress[-1][1] == len(progress) * progress[0][0]
    ensemble = attack(names, config)
    assert ensemble.folder.name.endswith("-ensemble")
    assert ensemble.members == tuple(names)
    assert ensemble.rows[1].scores["mean_iou"] < ensemble.rows[0].scores["mean_iou"]


def test_runs_with_equal_folder_names_have_their_own_rows(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    names = [str(tmp_path / parent / "seg") for parent in ("one", "two")]
    for name in names:
        shutil.copytree(attackable_runs["seg"], name)
    (matrix,) = transfer(names, AttackConfig(attack=("fgsm",), eps=("8/255",), images=2))
    assert matrix.runs == ("one/seg", "two/seg")
    assert matrix.scores["one/seg"].keys() == {"one/seg", "two/seg"}


def test_transfer_needs_runs_of_one_task(attackable_runs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="for runs of one task"):
        transfer([str(attackable_runs["cls"]), str(attackable_runs["seg"])], AttackConfig(attack=("fgsm",)))


@pytest.mark.parametrize(
    ("attacks", "flags", "message"),
    [
        ("pdg-20", [], "did you mean pgd"),
        ("pgd-0", [], "are 1 or more"),
        ("fgsm-3", [], "no number"),
        ("square-9x3", [], "restarts"),
        ("sea-3", [], "for segmenters"),
        ("adv:", [], "write adv:RUN"),
        ("pgd-3", ["--eps", "8/256px/2"], "8/255, 8px or 0.03"),
        ("pgd-3", ["--eps", "-1"], "above 0"),
        ("pgd-3", ["--eps", "0.5px"], "1/255 or more"),
        ("pgd-3", ["--eps", "8"], "8px or 8/255"),
        ("pgd-3", ["--goal", "target:dgo"], "did you mean dog"),
        ("pgd-3", ["--goal", "hide"], "target:CLASS"),
        ("pgd-3", ["--norm", "l1"], "linf, l2"),
        ("pgd-3", ["--step", "2/255/2"], "--step is written as 8/255, 8px or 0.03"),
        ("pgd-3", ["--step", "0"], "--step is above 0"),
        ("fgsm,apgd-3", ["--step", "2/255"], "--step sets the step length of pgd, pgd-margin, segpgd, cospgd"),
        ("pgd-margin-3", ["--goal", "hide:cat"], "cannot be combined with --goal hide:cat"),
        ("pgd-3", ["--tta", "flip"], "--tta"),
        ("pgd-3", ["--transfer"], "two runs"),
    ],
)
def test_wrong_options_end_in_one_error_line(
    attackable_runs: dict[str, Path], attacks: str, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(attackable_runs["cls"]), "--attack", attacks, *flags]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1


def test_attack_options_require_an_attack(attackable_runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(attackable_runs["cls"]), "--eps", "8/255"]) == 2
    assert "--eps requires --attack" in capsys.readouterr().err


def test_command_prints_its_table(attackable_runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            ["eval", str(attackable_runs["seg"]), "--attack", "fgsm,noise", "--eps", "8px", "--images", "2", "--quiet"]
        )
        == 0
    )
    printed = capsys.readouterr().out
    for text in ("worst case", "fooling rate: ", 'Sanity check "noise" ', "Saved attack.json and table.csv in "):
        assert text in printed
    assert (
        main(["eval", str(attackable_runs["seg"]), "--attack", "fgsm", "--eps", "8px", "--images", "2", "--json"]) == 0
    )
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["attack"] for row in rows] == ["clean", "fgsm"]
    assert np.isclose(rows[1]["distortion"]["linf_max"], 8 / 255)


def test_command_prints_transfer_matrices(attackable_runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--attack", "fgsm,noise", "--eps", "8px", "--images", "2", "--transfer"]
    arguments = ["eval", str(attackable_runs["seg"]), str(attackable_runs["seg"]), *flags]
    assert main([*arguments, "--quiet"]) == 0
    printed = capsys.readouterr().out
    for text in ("fgsm, eps 8px: mean IoU, %", 'Sanity check "noise" of ', "Saved transfer.json in "):
        assert text in printed
    assert main([*arguments, "--json"]) == 0
    matrices = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [matrix["attack"] for matrix in matrices] == ["fgsm", "noise"]
