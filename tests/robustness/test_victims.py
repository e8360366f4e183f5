"""Runs that may be attacked, alone or as an ensemble."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vocctl.config import AttackConfig
from vocctl.errors import ConfigError, DataError
from vocctl.robustness.benchmark import read_ground_truth
from vocctl.robustness.victims import ClassifierVictim, SegmenterVictim, open_victim


def test_a_run_is_opened_as_the_victim_of_its_task(attackable_runs: dict[str, Path]) -> None:
    for name, kind, shape in (("seg", SegmenterVictim, (2, 21, 40, 40)), ("cls", ClassifierVictim, (2, 20))):
        victim = open_victim([str(attackable_runs[name])], "best", None)
        assert isinstance(victim, kind)
        assert victim.name == name
        assert victim.forward(torch.zeros(2, 3, 40, 40)).shape == shape
        assert not any(parameter.requires_grad for parameter in victim.forward.parameters())


def test_an_ensemble_predicts_the_mean_of_its_members(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(attackable_runs["cls"], tmp_path / "other")
    # the second member must predict something else: it gets the final weights as its best ones
    final = (tmp_path / "other" / "final.safetensors").read_bytes()
    (tmp_path / "other" / "best.safetensors").write_bytes(final)
    names = [str(attackable_runs["cls"]), str(tmp_path / "other")]
    single_victims = [open_victim([name], "best", None) for name in names]
    truth, _, _ = read_ground_truth(single_victims[0], AttackConfig(attack=("fgsm",)), None, None)
    probs = [victim.predict(truth.images, truth).probs for victim in single_victims]
    ensemble = open_victim(names, "best", None)
    assert ensemble.name == "cls+other"
    assert np.allclose(ensemble.predict(truth.images, truth).probs, np.mean(probs, axis=0), atol=1e-6)


def test_runs_of_two_tasks_cannot_form_an_ensemble(attackable_runs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="all runs of an ensemble must have the same task"):
        open_victim([str(attackable_runs["cls"]), str(attackable_runs["seg"])], "best", None)


def test_segmenters_of_two_sizes_cannot_form_an_ensemble(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(attackable_runs["seg"], tmp_path / "larger")
    text = (tmp_path / "larger" / "config.toml").read_text()
    (tmp_path / "larger" / "config.toml").write_text(text.replace("size = 32", "size = 64"))
    with pytest.raises(ConfigError, match="must have the same --size, these have 32, 64"):
        open_victim([str(attackable_runs["seg"]), str(tmp_path / "larger")], "best", None)


def test_a_generator_cannot_be_attacked(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(attackable_runs["seg"], tmp_path / "adv")
    text = (tmp_path / "adv" / "run.json").read_text()
    (tmp_path / "adv" / "run.json").write_text(text.replace('"train-seg"', '"train-adv"'))
    with pytest.raises(DataError, match=r"a run of train-adv and cannot be attacked"):
        open_victim([str(tmp_path / "adv")], "best", None)
