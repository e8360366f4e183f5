"""Images, time and waiting are counted apart, on a clock that is moved by hand."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from vocctl.training import throughput
from vocctl.training.throughput import Throughput


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def slow(clock: Clock, batches: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for number in range(batches):
        clock.now += 0.25
        yield torch.zeros(4, 3, 2, 2), torch.full((4,), number)


def test_only_the_time_until_a_batch_is_there_counts_as_waiting(clock: Clock) -> None:
    pace, seen = Throughput(), []
    for images, targets in pace.measure(slow(clock, 3)):
        clock.now += 0.75
        seen.append((len(images), int(targets[0])))
    assert seen == [(4, 0), (4, 1), (4, 2)]
    assert (pace.images, pace.waited, pace.seconds) == (12, 0.75, 3.0)
    assert (pace.data_wait, pace.images_per_second) == (0.25, 4.0)


def test_the_images_of_all_ranks_count(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    pace = Throughput()
    list(pace.measure(slow(clock, 2)))
    assert pace.images_per_second == 3 * 2 * 4 / 0.5


def test_an_epoch_without_batches_is_over_at_once(clock: Clock) -> None:
    pace = Throughput()
    assert list(pace.measure([])) == []
    assert (pace.images_per_second, pace.data_wait) == (0, 0)
