"""Where a step's time goes, measured without slowing the device down."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StageTimes:
    """Seconds by stage. On a GPU, which works behind the program's back, marks are put into its
    queue and read at the end, so that measuring never waits."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._seconds: dict[str, float] = defaultdict(float)
        self._calls: dict[str, int] = defaultdict(int)
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        self._calls[stage] += 1
        if self._is_cuda:
            before = torch.cuda.Event(enable_timing=True)
            after = torch.cuda.Event(enable_timing=True)
            before.record()
            yield
            after.record()
            self._marks.append((stage, before, after))
            if len(self._marks) > 1000:
                self._collect()
        else:
            start = time.perf_counter()
            yield
            self._seconds[stage] += time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        """By stage, in the order in which they first came."""
        self._collect()
        return dict(self._seconds)

    def calls(self) -> dict[str, int]:
        return dict(self._calls)

    def forget(self) -> None:
        """Starts measuring anew."""
        self._collect()
        self._seconds.clear()
        self._calls.clear()

    def _collect(self) -> None:
        for stage, before, after in self._marks:
            after.synchronize()
            self._seconds[stage] += before.elapsed_time(after) / 1000
        self._marks.clear()
