"""How fast an epoch goes, over all ranks, and which share of it waits for data."""

import time
from collections.abc import Iterable, Iterator

from torch import Tensor

from vocctl.distributed import world_size


class Throughput:
    """Counts from its making on."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.waited = 0.0  # seconds until batches were there
        self.images = 0  # of this rank

    def over(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self.waited += time.perf_counter() - asked
            if batch is None:
                return
            self.images += len(batch[0])
            yield batch

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def images_per_second(self) -> float:
        return self.images * world_size() / max(self.seconds, 1e-9)

    @property
    def data_wait(self) -> float:
        """Share of the time, in [0, 1]. Without worker processes, loading and augmenting are waited for too."""
        return self.waited / max(self.seconds, 1e-9)
