"""The moving average of weights, computed by hand."""

import pytest
import torch
from torch import nn

from vocctl.training.ema import MovingAverage


def layer_of(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(value)
    return layer


def set_weight(layer: nn.Linear, value: float) -> None:
    with torch.no_grad():
        layer.weight.fill_(value)


def test_two_steps_by_hand():
    layer = layer_of(0.0)
    average = MovingAverage(layer, 0.99)
    set_weight(layer, 11.0)
    average.update(layer, step=1)  # decay 2 / 11: 0 * 2/11 + 11 * 9/11 = 9
    assert average.model.weight.item() == pytest.approx(9)
    set_weight(layer, 3.0)
    average.update(layer, step=2)  # decay 3 / 12: 9 * 1/4 + 3 * 3/4 = 4.5
    assert average.model.weight.item() == pytest.approx(4.5)


def test_the_decay_is_at_most_the_given_one():
    layer = layer_of(0.0)
    average = MovingAverage(layer, 0.5)
    set_weight(layer, 8.0)
    average.update(layer, step=1000)  # (1 + 1000) / (10 + 1000) is above 0.5
    assert average.model.weight.item() == pytest.approx(4)


def test_with_decay_0_the_average_is_the_model_itself():
    layer = layer_of(1.0)
    average = MovingAverage(layer, 0.0)
    set_weight(layer, 5.0)
    average.update(layer, step=1)
    assert average.model is layer
    assert layer.weight.item() == 5
    assert layer.weight.requires_grad


def test_the_average_is_a_copy_that_does_not_train():
    layer = layer_of(1.0).train()
    average = MovingAverage(layer, 0.9)
    set_weight(layer, 5.0)
    assert average.model.weight.item() == 1
    assert not average.model.weight.requires_grad
    assert not average.model.training
    assert layer.training
    assert layer.weight.requires_grad


def test_running_means_are_averaged_and_counters_are_copied():
    norm = nn.BatchNorm1d(1, momentum=1.0)
    average = MovingAverage(norm, 0.5)
    norm(torch.tensor([[6.0], [10.0]]))  # running mean 8
    average.update(norm, step=1000)
    assert average.model.running_mean.item() == pytest.approx(4)
    assert average.model.num_batches_tracked.item() == 1


def test_the_average_of_a_constant_model_is_the_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = MovingAverage(model, 0.99)
    for step in range(1, 6):
        average.update(model, step)
    for left, right in zip(average.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.allclose(left, right)
