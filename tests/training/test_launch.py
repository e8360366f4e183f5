"""Device and precision of a training run."""

import pytest
import torch

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig, given
from vocctl.training import launch
from vocctl.training.launch import training_setup


@pytest.fixture
def t4(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of compute capability 7.5."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.version, "hip", None)


@pytest.mark.usefixtures("t4")
@pytest.mark.parametrize(
    ("config", "precision"),
    [
        (TrainSegConfig(), "fp16"),
        (TrainClsConfig(), "fp16"),
        (TrainAdvConfig(), "fp16"),
        (given(TrainSegConfig(), adv_train="pgd-3"), "fp32"),  # fp16 is refused, so auto must not choose it
        (given(TrainClsConfig(), adv_train="pgd-3"), "fp32"),
    ],
)
def test_auto_precision_on_a_t4(config: TrainingConfig, precision: str) -> None:
    assert training_setup(config).precision == precision


@pytest.mark.usefixtures("t4")
@pytest.mark.parametrize(("other", "expected"), [("bf16", "fp16"), ("fp16", "fp16"), ("fp32", "fp32")])
def test_processes_with_different_gpus_agree(monkeypatch: pytest.MonkeyPatch, other: str, expected: str) -> None:
    """Gradients of fp16 are scaled: added to those of another precision they would swamp them."""
    monkeypatch.setattr(launch, "all_gather_object", lambda own: [own, other])
    assert training_setup(TrainSegConfig()).precision == expected
