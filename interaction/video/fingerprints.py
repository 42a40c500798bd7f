"""What tells one frame from another: its timestamp in the file, a hash of the decoded picture, and
a look that survives another encoding."""

import hashlib
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError
from interaction.video.container import TagSource
from interaction.video.decoder import FrameDecoder, VideoIndex, open_source
from interaction.video.index import VideoFileIndex

MOST_LOOK_DISTANCE: Final = 10  # of 64 bits, between encodings of one picture
_LEAST_STEP: Final = 3  # of 255 between neighbours: less is noise


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """pts: in the stream's time base; None where a file has none. sha256: of the picture as it was
    decoded, before any conversion of colours, size or orientation; of a picture file, its RGB
    values. look: 64 bits, whether each of 8x8 places is brighter than its right neighbour."""

    pts: int | None
    sha256: str
    look: int


class FingerprintReader:
    """Decodes on its own, best in ascending order. Not thread-safe; close it when done."""

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        self._source = (
            FrameDecoder(index) if isinstance(index, VideoFileIndex) else open_source(index)
        )

    def read(self, frame: int) -> Fingerprint | None:
        """None for a frame that cannot be decoded."""
        index = self._index
        try:
            if not isinstance(index, VideoFileIndex):
                [(_, rgb)] = self._source.decode(frame, frame, lambda: False)
                gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
                return Fingerprint(None, hashlib.sha256(rgb.tobytes()).hexdigest(), look_of(gray))
            assert isinstance(self._source, FrameDecoder)  # of every file
            stored = self._source.stored(frame)
            gray = np.asarray(stored.reformat(format="gray").to_ndarray(), np.uint8)
        except (UnreadableVideoError, ValueError):
            return None
        is_timed = index.tag_source is TagSource.TIMESTAMP
        pts = index.frame_tags[frame] if is_timed else None
        return Fingerprint(pts, digest(stored), look_of(index.layout.orientation.apply(gray)))

    def close(self) -> None:
        self._source.close()


def digest(frame: VideoFrame) -> str:
    """SHA-256 of the planes, without what pads their rows."""
    sha256 = hashlib.sha256()
    bits = [0] * len(frame.planes)
    for component in frame.format.components:
        bits[component.plane] += _padded(component.bits) * component.width
    for plane, row_bits in zip(frame.planes, bits, strict=True):
        line_bytes = abs(plane.line_size)
        rows = np.frombuffer(bytes(plane), np.uint8)[: plane.height * line_bytes]
        used = min(line_bytes, -(-row_bits // 8))
        sha256.update(rows.reshape(plane.height, line_bytes)[:, :used].tobytes())
    return sha256.hexdigest()


def _padded(bits: int) -> int:
    """Bits that a component takes in memory."""
    return bits if bits <= 8 else 16 if bits <= 16 else 32


def look_of(gray: NDArray[np.uint8]) -> int:
    """gray: (H, W)."""
    small = cv2.resize(gray, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    is_brighter = small[:, :-1] - small[:, 1:] >= _LEAST_STEP
    return int.from_bytes(np.packbits(is_brighter).tobytes(), "big")


def look_distance(one: int, other: int) -> int:
    """In bits, 0 to 64."""
    return (one ^ other).bit_count()
