"""What every kind of video offers to the one class that hands out frames."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from interaction.project.frame_decoder import FrameDecoder
from interaction.project.picture_folder import PictureFolderIndex, PictureReader
from interaction.project.video_index import VideoFileIndex

__all__ = ["FrameSource", "VideoIndex", "open_source"]

VideoIndex = VideoFileIndex | PictureFolderIndex


class FrameSource(Protocol):
    """Frames by number, decoded on demand. Not thread-safe."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def close(self) -> None: ...

    def group_start(self, frame: int) -> int:
        """The first of the frames that are decoded on the way to `frame`."""

    def decode(
        self, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (frame, read-only (H, W, 3) RGB) from `first` to `last`, both included.

        Ends early once `is_cancelled()` is true. Raises UnreadableVideoError.
        """


def open_source(index: VideoIndex) -> FrameSource:
    return FrameDecoder(index) if isinstance(index, VideoFileIndex) else PictureReader(index)
