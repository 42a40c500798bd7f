"""What an export works from: a snapshot of the annotation, taken on the annotator's thread.

Records never change, so a snapshot is a copy of the mapping, not of the masks. The export then
runs on any thread while the annotation goes on being edited.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from interaction.project.mask_files import decode_labels
from interaction.project.picture_folder import PictureFolderIndex
from interaction.project.video import Video, VideoIndex
from interaction.types import EMPTY_RECORD, FrameRecord, ObjectInfo
from xmem_core.pictures import Labels

__all__ = ["ExportSource", "MaskSource"]


class MaskSource(Protocol):
    """What can be exported; an `Annotation` is one."""

    @property
    def records(self) -> Mapping[int, FrameRecord]: ...

    @property
    def objects(self) -> tuple[ObjectInfo, ...]: ...

    frame_count: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class ExportSource:
    """The masks, the objects and the video as they were when it was made. Any thread may read."""

    frame_count: int
    width: int
    height: int
    objects: tuple[ObjectInfo, ...]
    records: Mapping[int, FrameRecord]
    index: VideoIndex
    name: str  # of the sequence, for layouts that have one
    protects: tuple[Path, ...] = field(default=())  # an export writes into none of these

    @classmethod
    def of(
        cls,
        masks: MaskSource,
        video: Video,
        *,
        name: str | None = None,
        protects: tuple[Path, ...] = (),
    ) -> Self:
        """A snapshot. name: what datasets call the sequence, by default the video's own name.
        protects: files and folders that no export may write to, such as the project's."""
        path = video.path
        return cls(
            frame_count=masks.frame_count,
            width=masks.width,
            height=masks.height,
            objects=masks.objects,
            records=dict(masks.records),
            index=video.index,
            name=name or (path.name if path.is_dir() else path.stem) or "video",
            protects=(path, *protects),
        )

    def labels(self, frame: int) -> Labels:
        """(H, W) uint8 object ids; zeros where nothing was annotated. UnreadableMaskError."""
        mask = self.records.get(frame, EMPTY_RECORD).mask
        if mask is None:
            return np.zeros((self.height, self.width), np.uint8)
        return decode_labels(mask)

    def frame_name(self, frame: int, digits: int = 7) -> str:
        """What the frame's files are called: the picture's own name, or its number."""
        if isinstance(self.index, PictureFolderIndex):
            return self.index.pictures[frame].stem
        return f"{frame:0{digits}d}"

    @property
    def timestamps_s(self) -> NDArray[np.float64]:
        """(N,) seconds from the first frame to each frame."""
        return self.index.timestamps_s
