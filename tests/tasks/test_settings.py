"""Every setting of a train command is read while it trains: no flag does nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig, given
from vocctl.tasks import train_adv, train_cls, train_seg

SMALL = {"size": 32, "batch": 4, "epochs": 2, "eval_every": 2, "precision": "fp32"}
NOT_A_USE = ("__post_init__", "check_choices", "as_tables")  # functions that read a setting without using it


@contextmanager
def recorded_reads(config: TrainingConfig) -> Iterator[set[str]]:
    """Yield the settings that vocctl's code has read: "section.field"."""
    reads: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for section in fields(config):
            names = {item.name for item in fields(getattr(config, section.name))}

            def read(self: Any, name: str, section: str = section.name, names: set[str] = names) -> Any:
                caller = sys._getframe(1)
                in_vocctl = caller.f_globals["__name__"].startswith("vocctl.")  # dataclasses' own functions read all
                if name in names and in_vocctl and caller.f_code.co_name not in NOT_A_USE:
                    reads.add(f"{section}.{name}")
                return object.__getattribute__(self, name)

            patch.setattr(type(getattr(config, section.name)), "__getattribute__", read)
        yield reads


def settings_of(config: TrainingConfig) -> set[str]:
    return {
        f"{section.name}.{item.name}" for section in fields(config) for item in fields(getattr(config, section.name))
    }


def unread_settings(module: ModuleType, *configs: TrainingConfig, folder: Path) -> set[str]:
    """The settings that none of these runs reads."""
    with recorded_reads(configs[0]) as reads:
        for number, config in enumerate(configs):
            module.run(config, folder / str(number))
    return settings_of(configs[0]) - reads


def test_every_setting_of_train_seg_is_read(tiny_set: Path, tmp_path: Path) -> None:
    config = given(TrainSegConfig(), path=str(tiny_set), **SMALL)
    scratch = given(config, encoder="scratch", decoder="unet", widths=(8, 8, 8), adv_train="fgsm")
    frozen = given(config, folds=2, encoder="tf_efficientnet_lite0", decoder="linear", freeze_encoder=True)
    assert unread_settings(train_seg, scratch, frozen, folder=tmp_path) == set()


def test_every_setting_of_train_cls_is_read(tiny_set: Path, tmp_path: Path) -> None:
    config = given(TrainClsConfig(), path=str(tiny_set), **SMALL)
    scratch = given(config, model="scratch", adv_train="fgsm")
    frozen = given(config, folds=2, model="tf_efficientnet_lite0", freeze_encoder=True)
    unread = unread_settings(train_cls, scratch, frozen, folder=tmp_path)
    assert unread == {"threshold.thresholds"}  # thresholds of every kind are saved: eval and predict choose


def test_every_setting_of_train_adv_is_read(trained, tmp_path: Path) -> None:
    config = given(TrainAdvConfig(), path=str(trained.data), target=(str(trained.seg),), width=4, **SMALL)
    from_scratch = given(config, folds=2, generator="unet", depth=1, penalty="l2")
    assert unread_settings(train_adv, config, from_scratch, folder=tmp_path) == set()
