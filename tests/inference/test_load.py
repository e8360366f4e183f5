"""Device and precision of evaluation."""

import pytest

from vocctl.config import TrainConfig
from vocctl.devices import device_setup
from vocctl.errors import ConfigError
from vocctl.inference.load import eval_setup


def test_run_trained_in_fp16_on_a_gpu_is_evaluated_on_a_cpu() -> None:
    trained = TrainConfig(precision="fp16", device="cuda")
    assert eval_setup(trained, "cpu").precision in ("fp32", "bf16")
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):  # training is refused
        device_setup("cpu", "fp16")
