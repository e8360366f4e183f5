"""Throughput and waiting times, on a clock that the test moves."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from vocctl.training import throughput as throughput_module
from vocctl.training.throughput import Throughput


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throughput_module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def slow_batches(clock: Clock, batches: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for number in range(batches):
        clock.now += 0.25
        yield torch.zeros(4, 3, 2, 2), torch.full((4,), number)


def test_only_the_time_until_a_batch_arrives_is_waiting(clock: Clock) -> None:
    throughput, batches = Throughput(), []
    for images, targets in throughput.measure(slow_batches(clock, 3)):
        clock.now += 0.75
        batches.append((len(images), int(targets[0])))
    assert batches == [(4, 0), (4, 1), (4, 2)]
    assert (throughput.images, throughput.waited, throughput.seconds) == (12, 0.75, 3.0)
    assert (throughput.data_wait, throughput.images_per_second) == (0.25, 4.0)


def test_images_of_all_processes_are_counted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    throughput = Throughput()
    list(throughput.measure(slow_batches(clock, 2)))
    assert throughput.images_per_second == 3 * 2 * 4 / 0.5


def test_epoch_without_batches_has_no_throughput(clock: Clock) -> None:
    throughput = Throughput()
    assert list(throughput.measure([])) == []
    assert (throughput.images_per_second, throughput.data_wait) == (0, 0)
