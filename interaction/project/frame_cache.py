"""The decoded frames kept in memory: as many as fit in so many bytes, the latest used."""

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameCache"]


class FrameCache:
    """Frames by number; the least recently used make room. Any thread may call any method."""

    def __init__(self, capacity_bytes: int) -> None:
        if capacity_bytes < 0:
            raise ValueError(f"capacity_bytes must not be negative, got {capacity_bytes}")
        self.capacity_bytes = capacity_bytes
        self._pictures: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def limit(self, capacity_bytes: int) -> None:
        """Another capacity, from now on; what is too much is dropped."""
        with self._lock:
            self.capacity_bytes = capacity_bytes
            while self._size_bytes > capacity_bytes:
                _, oldest = self._pictures.popitem(last=False)
                self._size_bytes -= oldest.nbytes

    @property
    def size_bytes(self) -> int:
        """Bytes of pixels held, never more than `capacity_bytes`."""
        return self._size_bytes

    def __contains__(self, frame: int) -> bool:
        """Whether `frame` is held. Does not count as a use."""
        return frame in self._pictures

    def get(self, frame: int) -> NDArray[np.uint8] | None:
        with self._lock:
            picture = self._pictures.get(frame)
            if picture is not None:
                self._pictures.move_to_end(frame)
            return picture

    def put(self, frame: int, picture: NDArray[np.uint8]) -> None:
        """Keep `picture`, unless it alone is larger than the capacity."""
        with self._lock:
            if frame in self._pictures or picture.nbytes > self.capacity_bytes:
                return
            while self._size_bytes + picture.nbytes > self.capacity_bytes:
                _, oldest = self._pictures.popitem(last=False)
                self._size_bytes -= oldest.nbytes
            self._pictures[frame] = picture
            self._size_bytes += picture.nbytes

    def clear(self) -> None:
        with self._lock:
            self._pictures.clear()
            self._size_bytes = 0
