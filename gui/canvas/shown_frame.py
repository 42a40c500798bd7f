"""Layers; load frames in the background and track which one is shown."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QImage

from gui.canvas.backdrop import Backdrop, Look
from gui.canvas.sketch import StrokePreview
from gui.language import tr
from gui.work.document import Document
from interaction.annotation.mask_files import davis_palette
from interaction.annotation.strokes import Rectangle
from interaction.errors import UserError
from interaction.formats.format import read_layer_picture
from interaction.video.pictures import PICTURE_SUFFIXES
from interaction.video.video import Video, open_video
from xmem_core.arrays import Labels

__all__ = [
    "FrameLoader",
    "FrameSource",
    "Layer",
    "ShownFrame",
    "to_image",
]


class FrameSource(Protocol):
    """What is needed of `interaction.video.video.Video`."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """(H, W, 3) RGB. May take long; any error means that there is no picture."""

    def cached(self, index: int, /) -> NDArray[np.uint8] | None:
        """The same if it is in memory. Quick."""


def to_image(frame: NDArray[np.uint8]) -> QImage:
    """(H, W, 3) RGB -> the format that Qt paints fastest. Shares no memory with `frame`."""
    height, width, _ = frame.shape
    frame = np.ascontiguousarray(frame)
    image = QImage(frame.data, width, height, width * 3, QImage.Format.Format_RGB888)
    return image.convertToFormat(QImage.Format.Format_RGB32)


class FrameLoader(QObject):
    """Decodes on one thread of its own. The newest request is served next, others are forgotten.

    A picture that arrives after one that was asked for later is dropped, so what is shown never
    steps back; one that is overtaken but newer than what is shown is given: scrubbing stays alive.
    """

    loaded = Signal(int, QImage)  # frame
    failed = Signal(int, object)  # frame, the Exception

    _answered = Signal(int, int, object)  # request, frame, QImage or Exception

    def __init__(self, source: FrameSource, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source = source
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
        self._lock = threading.Lock()
        self._wanted: tuple[int, int] | None = None  # request, frame
        self._is_working = False
        self._is_closed = False
        self._request = 0
        self._given = 0  # the newest request that was answered
        self._answered.connect(self._give)
        executor = self._executor
        self.destroyed.connect(lambda: executor.shutdown(wait=True, cancel_futures=True))

    def request(self, frame: int) -> None:
        """`loaded` or `failed` follows: at once for a frame in memory, else later."""
        if self._is_closed:
            return
        self._request += 1
        picture = self._source.cached(frame)
        if picture is not None:
            with self._lock:
                self._wanted = None
            self._give(self._request, frame, to_image(picture))
            return
        with self._lock:
            self._wanted = (self._request, frame)
            if self._is_working:
                return
            self._is_working = True
        self._executor.submit(self._work)

    def close(self) -> None:
        """Ends the thread after the frame in hand. Nothing is given any more."""
        self._is_closed = True
        with self._lock:
            self._wanted = None
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._wanted is None:
                    self._is_working = False
                    return
                (request, frame), self._wanted = self._wanted, None
            answer: QImage | Exception
            try:
                answer = to_image(self._source[frame])
            except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
                answer = error
            try:
                self._answered.emit(request, frame, answer)
            except RuntimeError:  # the window is gone
                return

    def _give(self, request: int, frame: int, answer: QImage | Exception) -> None:
        if self._is_closed or request <= self._given:
            return
        self._given = request
        if isinstance(answer, QImage):
            self.loaded.emit(frame, answer)
        else:
            self.failed.emit(frame, answer)


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
            try:
                pixels = read_layer_picture(Path(path))
            except UserError as error:
                self.changed.emit(None)
                self.failed.emit(error)
                return
            height, width, channels = pixels.shape
            picture = QImage(
                pixels.data, width, height, channels * width, QImage.Format.Format_RGBA8888
            )
            self.changed.emit(picture.copy())
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


_PALETTE: Final = tuple((int(r) << 16) | (int(g) << 8) | int(b) for r, g, b in davis_palette())


class ShownFrame(QObject):
    """Follows the document and keeps the backdrop up to date.

    Picture and masks change together: while a picture is being decoded, the frame before stays.
    """

    changed = Signal(object)  # `strokes.Rectangle` to paint again, or None for all
    arrived = Signal(int)  # this frame is shown now
    failed = Signal(int, object)  # a frame whose picture cannot be shown, and the Exception

    def __init__(
        self, document: Document, backdrop: Backdrop, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._backdrop = document, backdrop
        self.preview = StrokePreview(self._show_preview)
        self._loader = FrameLoader(document.video, self)
        self._loader.loaded.connect(self._show_picture)
        self._loader.failed.connect(self._show_failure)
        self._frame = -1
        self._problem = ""
        self._is_bare = False
        self._hovered = 0
        self._layer = Layer(self)
        self._layer.changed.connect(self._show_layer)
        self._layer.failed.connect(lambda error: self.failed.emit(document.frame, error))
        document.frame_changed.connect(self._loader.request)
        document.frame_changed.connect(self._layer.show_frame)
        document.masks_changed.connect(self._follow_masks)
        document.onion_skin_changed.connect(self._show_neighbours)
        document.layer_changed.connect(self._load_layer)
        signals = (
            document.objects_changed,
            document.solo_changed,
            document.opacity_changed,
            document.view_mode_changed,
            document.current_object_changed,
            document.hatching_changed,
            document.outline_changed,
            document.covered_changed,
        )
        for signal in signals:
            signal.connect(self.update_look)
        if document.layer:
            self._load_layer(document.layer)
        self.update_look()
        self._loader.request(document.frame)

    @property
    def frame(self) -> int:
        """-1 before the first."""
        return self._frame

    @property
    def is_current(self) -> bool:
        """Whether it is the document's frame; else that one is still being decoded."""
        return self._frame == self._document.frame

    @property
    def problem(self) -> str:
        """Why there is no picture; empty if there is one."""
        return self._problem

    def close(self) -> None:
        """Ends the decoding threads."""
        self._loader.close()
        self._layer.close()

    def labels(self) -> Labels:
        """The frame's own mask, without a stroke in progress."""
        return self._document.annotation.labels(max(self._frame, 0))

    def object_at(self, x: float, y: float) -> int:
        """The object that is seen at this place of the frame; 0: none."""
        if not self.is_inside(x, y):
            return 0
        found = int(self._backdrop.labels[int(y), int(x)])
        return found if found in self._backdrop.look.colors else 0

    def is_inside(self, x: float, y: float) -> bool:
        """Whether a place, in source pixels, is on the frame."""
        height, width = self._backdrop.labels.shape
        return 0 <= x < width and 0 <= y < height

    @property
    def source_offset(self) -> float:
        """How far right the source lies beside the overlay, in source pixels."""
        return self._backdrop.source_offset

    def color_of(self, object_id: int) -> QColor:
        """An object that is still to be made has the colour it will get."""
        info = self._document.object(object_id)
        if info is not None:
            return QColor(*info.color)
        return QColor(*self._document.next_color())

    # Looks

    def set_bare(self, is_bare: bool) -> None:
        """Only the frame, no masks."""
        if is_bare != self._is_bare:
            self._is_bare = is_bare
            self.update_look()

    def set_hovered(self, object_id: int) -> None:
        """The object whose outline stands out."""
        if object_id != self._hovered:
            before, self._hovered = self._hovered, object_id
            self._backdrop.set_look(replace(self._backdrop.look, hovered=object_id))
            for changed in (before, object_id):
                box = self._backdrop.masks.bounds_of(changed) if changed else None
                if box is not None:
                    self.changed.emit(box)

    def update_look(self, *_: object) -> None:
        document = self._document
        colors = {object_id: _PALETTE[object_id] for object_id in range(1, 256)}
        drawn = self.preview.object_id
        if drawn and document.object(drawn) is None:
            colors[drawn] = self.color_of(drawn).rgb() & 0xFFFFFF
        for info in document.objects:
            red, green, blue = info.color
            colors[info.id] = (red << 16) | (green << 8) | blue
        for info in document.objects:
            if not document.is_shown(info.id):
                del colors[info.id]
        look = Look(
            document.view_mode,
            document.opacity,
            colors,
            document.current_object or drawn,
            self._hovered,
            self._is_bare,
            document.has_hatching,
            document.outline_px,
            document.outline_opacity,
            document.shows_covered,
        )
        if look != self._backdrop.look:
            self._backdrop.set_look(look)
            self.changed.emit(None)

    def _load_layer(self, path: str) -> None:
        self._layer.set_path(path, self._document.frame)

    def _show_layer(self, layer: QImage | None) -> None:
        self._backdrop.set_layer(layer)
        self.changed.emit(None)

    # The frame

    def _is_late(self, frame: int) -> bool:
        """Whether a picture was on its way when the document came back to the shown frame."""
        return self.is_current and frame != self._frame

    def _show_picture(self, frame: int, picture: QImage) -> None:
        if self._is_late(frame):
            return
        self._backdrop.set_picture(picture)
        self._show(frame, "")

    def _show_failure(self, frame: int, error: Exception) -> None:
        if self._is_late(frame):
            return
        self._backdrop.set_picture(None)
        self._show(frame, tr(str(error)))
        self.failed.emit(frame, error)

    def _show(self, frame: int, problem: str) -> None:
        is_same = frame == self._frame
        self._frame, self._problem = frame, problem
        if is_same and self.preview.is_active:
            self.preview.rebase(self.labels())  # a picture that was asked for twice
        else:
            self.preview.end()
            self._backdrop.set_labels(self.labels())
        self._show_beneath()
        self._show_neighbours()
        self.changed.emit(None)
        self.arrived.emit(frame)

    def _follow_masks(self, frames: set[int]) -> None:
        if self._frame < 0:
            return
        if self._frame in frames:
            self._show_beneath()
            if self.preview.is_drawing:
                self.preview.rebase(self.labels())
            else:
                self.preview.end()
                self._backdrop.set_labels(self.labels())
                self.changed.emit(None)
        if self._document.has_onion_skin and {self._frame - 1, self._frame + 1} & frames:
            self._show_neighbours()

    def _show_beneath(self) -> None:
        self._backdrop.masks.set_beneath(self._document.annotation.stack(max(self._frame, 0))[1:])

    def _show_preview(self, part: Rectangle | None) -> None:
        labels = self.preview.labels
        if part is None:
            self._backdrop.set_labels(self.labels() if labels is None else labels)
            self.update_look()
        else:
            self._backdrop.labels_changed(part)
        self.changed.emit(part)

    def _show_neighbours(self, *_: object) -> None:
        if self._frame < 0:
            return
        had_any = self._backdrop.masks.has_neighbours
        previous, following = (
            self._neighbour(self._frame + step) if self._document.has_onion_skin else None
            for step in (-1, 1)
        )
        self._backdrop.masks.set_neighbours(previous, following)
        if had_any or self._backdrop.masks.has_neighbours:
            self.changed.emit(None)

    def _neighbour(self, frame: int) -> Labels | None:
        annotation = self._document.annotation
        if not 0 <= frame < annotation.frame_count or annotation.record(frame).mask is None:
            return None
        return annotation.labels(frame)
