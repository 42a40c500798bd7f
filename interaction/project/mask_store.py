"""Every mask there ever was, each once: one file that only grows.

The history needs masks that no frame shows any more, and the masks of 5,000 frames of a
propagation have to be safe on the disk as they come. One growing file takes one write and one
flush for a batch of them. Each mask is found by its place and recognised by its checksum, so it
also makes good a mask file that a crash has left half-written.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from interaction.files import ForeignChangeError, append_plain, is_plain_file, open_plain
from interaction.project.records import DamagedValueError, MaskPlace
from xmem_core.messages import Message

_MOST_MASK_BYTES: Final = 2**29


class GrowingFile:
    """Bytes are added at the end, all or none. For one writing thread; anyone may read.

    end: where the next bytes go. What is behind it when this is made is the rest of a write that a
    crash cut off. A file of another length was written by another program: it stays as it is.
    """

    def __init__(self, path: Path, end: int) -> None:
        self.path = path
        self.end = end
        self._has_rest = True  # there may be something behind `end`

    def append(self, data: bytes) -> int:
        """Where `data` begins. On the disk when this returns.

        Raises DiskFullError or UnwritableFileError; then `end` is as before.
        """
        try:
            # Opened anew each time: a file swapped for another must not be written unseen.
            append_plain(self.path, data, self.end, may_have_rest=self._has_rest)
        except ForeignChangeError:
            raise
        except BaseException:
            self._has_rest = True  # what this attempt left behind `end` is ours to cut off
            raise
        start, self.end, self._has_rest = self.end, self.end + len(data), False
        return start


class MaskStore:
    """The file `history/masks.bin`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = GrowingFile(path, path.stat().st_size if is_plain_file(path) else 0)
        self._places: dict[bytes, MaskPlace] = {}  # by digest
        self._pending: list[bytes] = []
        self._pending_end = self._file.end

    @property
    def size_bytes(self) -> int:
        """Of what is on the disk."""
        return self._file.end

    def place(self, mask: bytes) -> MaskPlace:
        """Where `mask` is, or will be once `write_pending` was called."""
        digest = _digest(mask)
        found = self._places.get(digest)
        if found is None:
            # In this order: a lack of memory at any of these lines must not leave a place at which
            # no mask, or another one, is going to be.
            end = self._pending_end + len(mask)
            found = MaskPlace(self._pending_end, len(mask), zlib.crc32(mask))
            self._pending.append(mask)
            self._pending_end = end
            self._places[digest] = found
        return found

    def know(self, mask: bytes, place: MaskPlace) -> None:
        """`mask` was read from `place`: it need not be written again."""
        self._places.setdefault(_digest(mask), place)

    def write_pending(self) -> None:
        """Raises DiskFullError or UnwritableFileError; the masks stay pending."""
        if self._pending:
            self._file.append(b"".join(self._pending))
            self._pending.clear()

    def begin_anew(self) -> None:
        """After another program has changed the file: what was pending is given up, and what comes
        goes behind whatever is there now. Masks that are not where they were are not found."""
        self._pending.clear()
        self._places.clear()
        self._file = GrowingFile(
            self.path, self.path.stat().st_size if is_plain_file(self.path) else 0
        )
        self._pending_end = self._file.end

    @contextmanager
    def reading(self) -> Generator[Callable[[MaskPlace], bytes], None, None]:
        """Gives what brings a mask from its place, the same object for the same place.

        It raises DamagedValueError if the mask is not there as it was. All threads may read what
        was written.
        """
        brought: dict[MaskPlace, bytes] = {}
        file: BinaryIO | None = None

        def bring(place: MaskPlace) -> bytes:
            nonlocal file
            if place not in brought:
                try:
                    if file is None:
                        file = open_plain(self.path)
                    brought[place] = mask = _read_mask(file, place)
                    self.know(mask, place)
                except (OSError, OverflowError, ValueError) as error:
                    raise DamagedValueError(Message("a mask of the history is damaged")) from error
            return brought[place]

        try:
            yield bring
        finally:
            if file is not None:
                file.close()


def _read_mask(file: BinaryIO, place: MaskPlace) -> bytes:
    if place.size_bytes > _MOST_MASK_BYTES:
        raise ValueError("a mask is impossibly large")
    file.seek(place.offset)
    mask = file.read(place.size_bytes)
    if len(mask) != place.size_bytes or zlib.crc32(mask) != place.crc32:
        raise ValueError("the mask is not there")
    return mask


def _digest(mask: bytes) -> bytes:
    return hashlib.blake2b(mask, digest_size=16).digest()


_PNG_HEAD: Final = struct.Struct(">8s4x4sIIBB")  # signature, IHDR, width, height, bits, kind
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def check_mask(mask: bytes, size: tuple[int, int]) -> None:
    """Raises DamagedValueError unless it is a mask of ours with `size`, width and height in pixels.

    By the head of the file: decoding 5,000 masks takes long. What is behind it is looked at when
    the mask is shown.
    """
    if len(mask) >= _PNG_HEAD.size:
        signature, kind, width, height, bits, color = _PNG_HEAD.unpack_from(mask)
        is_ours = signature == _PNG_SIGNATURE and kind == b"IHDR" and (bits, color) == (8, 3)
        if is_ours and (width, height) == size:
            return
    raise DamagedValueError(Message("its mask is not a palette PNG of the video's size"))


def checking_masks(
    bring: Callable[[MaskPlace], bytes], size: tuple[int, int]
) -> Callable[[MaskPlace], bytes]:
    """`bring`, with `check_mask` for every mask that it brings."""

    def checked(place: MaskPlace) -> bytes:
        mask = bring(place)
        check_mask(mask, size)
        return mask

    return checked
