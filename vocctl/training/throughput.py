"""How fast an epoch trains, over all processes, and which fraction of its time waits for data."""

import time
from collections.abc import Iterable, Iterator

from torch import Tensor

from vocctl.distributed import world_size


class Throughput:
    """Counts images and waiting time from its creation on."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.waited = 0.0  # seconds spent waiting for batches
        self.images = 0  # of this process

    def measure(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches; count their images and the time until each is available."""
        iterator = iter(batches)
        while True:
            requested = time.perf_counter()
            batch = next(iterator, None)
            self.waited += time.perf_counter() - requested
            if batch is None:
                return
            self.images += len(batch[0])
            yield batch

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def images_per_second(self) -> float:
        """Over all processes."""
        return self.images * world_size() / max(self.seconds, 1e-9)

    @property
    def data_wait(self) -> float:
        """Fraction of the time spent waiting for batches, in [0, 1]. Without workers it includes loading and augmenting."""
        return self.waited / max(self.seconds, 1e-9)
