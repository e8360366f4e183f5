"""Device and precision of evaluation."""

import pytest
import torch

from vocctl.config import TrainConfig
from vocctl.devices import device_setup
from vocctl.errors import ConfigError
from vocctl.inference.load import eval_setup


def test_run_trained_in_fp16_on_a_gpu_is_evaluated_on_a_cpu() -> None:
    trained = TrainConfig(precision="fp16", device="cuda")
    assert eval_setup(trained, "cpu").precision in ("fp32", "bf16")
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):  # training is refused
        device_setup("cpu", "fp16")


def test_run_with_auto_precision_is_evaluated_in_the_precision_of_each_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.version, "hip", None)
    assert eval_setup(TrainConfig(device="cuda"), None).precision == "fp16"
    assert eval_setup(TrainConfig(device="cuda"), "cpu").precision in ("fp32", "bf16")
