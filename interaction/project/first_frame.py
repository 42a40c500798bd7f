"""The first picture of a video at once, before its frames have been counted.

Counting the frames of a long file takes seconds; somebody who opens it should not look at nothing
for so long.
"""

from contextlib import closing
from pathlib import Path

from interaction.errors import UnreadableVideoError
from interaction.project.frame_pixels import FrameLayout, RgbConverter
from interaction.project.frame_stream import FrameStream, TagSource
from interaction.project.picture_folder import first_picture
from interaction.project.picture_pixels import read_picture
from xmem_core.arrays import Frame

__all__ = ["first_frame"]


def first_frame(path: Path) -> Frame:
    """(H, W, 3) uint8 RGB, upright. path: a video file or a folder of pictures.

    Where an edit list hides the beginning of a file, or pixels are not square, it can differ from
    what `Video` gives for frame 0. Raises UnreadableVideoError.
    """
    if path.is_dir():
        return read_picture(first_picture(path))
    with closing(FrameStream(path, TagSource.COUNT)) as stream:
        frame = stream.next_frame()
    if frame is None:
        raise UnreadableVideoError(path, "not a single frame of it can be decoded")
    picture = RgbConverter(FrameLayout.from_frame(frame, None)).convert(frame)
    if picture is None:
        raise UnreadableVideoError(path, "its first frame cannot be shown")
    return picture
