"""What lies between the background and the objects: a picture, or a video that runs along."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtGui import QImage

from gui.canvas.frame_loader import FrameLoader
from interaction.errors import UnreadableVideoError
from interaction.project.picture_folder import PICTURE_SUFFIXES
from interaction.project.video import Video, open_video

__all__ = ["Layer"]

_CACHE_BYTES: Final = 64 * 2**20


class Layer(QObject):
    """Says which picture to lay in. A video is opened and decoded on a thread of its own, begins
    with the first frame and starts again at its end."""

    changed = Signal(object)  # QImage, or None: nothing lies there
    failed = Signal(object)  # the Exception of what cannot be used

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader: FrameLoader | None = None
        self._source: _LateVideo | None = None

    def set_path(self, path: str, frame: int) -> None:
        """A picture, a video or a folder of pictures; empty for none. frame: that is shown now."""
        self.close()
        if not path:
            self.changed.emit(None)
            return
        if Path(path).suffix.lower() in PICTURE_SUFFIXES:
            picture = QImage(path)
            self.changed.emit(None if picture.isNull() else picture)
            if picture.isNull():
                self.failed.emit(_unreadable(Path(path)))
            return
        self._source = _LateVideo(Path(path))
        self._loader = FrameLoader(self._source, self)
        self._loader.loaded.connect(lambda _, picture: self.changed.emit(picture))
        self._loader.failed.connect(lambda _, error: self.failed.emit(error))
        self.show_frame(frame)

    def show_frame(self, frame: int) -> None:
        """The project's video has come to this frame."""
        if self._loader is not None:
            self._loader.request(frame)

    def close(self) -> None:
        """Ends the decoding thread and lets go of the file."""
        if self._loader is not None:
            self._loader.close()
            self._loader.deleteLater()
        if self._source is not None:
            self._source.close()
        self._loader = self._source = None


class _LateVideo:
    """A video that is opened when its first frame is asked for, which may take a while."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: Video | None = None

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        if self._video is None:
            self._video = open_video(self._path, cache_bytes=_CACHE_BYTES)
        return self._video[index % len(self._video)]

    def cached(self, index: int, /) -> NDArray[np.uint8] | None:
        video = self._video
        return None if video is None else video.cached(index % len(video))

    def close(self) -> None:
        if self._video is not None:
            self._video.close()


def _unreadable(path: Path) -> UnreadableVideoError:
    return UnreadableVideoError(
        path,
        QCoreApplication.translate("Layer", "it is not a picture that can be read"),
        QCoreApplication.translate(
            "Layer", "Nothing lies behind the objects now. Choose another picture."
        ),
    )
