"""Small videos for tests, made here."""

from pathlib import Path

import av
import numpy as np


def write_video(path: Path, frames: int, width: int, height: int) -> Path:
    """An MP4 of flat frames, each a little brighter. width, height: even."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = np.full((height, width, 3), 40 + 20 * (index % 8), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
