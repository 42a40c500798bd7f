"""A small picture of one frame, with a slider to choose which; made on a thread of its own."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QFrame, QSizePolicy, QSlider, QVBoxLayout, QWidget

from gui.canvas.shown_frame import FrameLoader
from gui.language import tr
from gui.theme import draw_inside, lay_out, named, remark
from interaction.errors import UserError

__all__ = ["LONGEST_PX", "FramePreview"]

_USUAL_SHAPE: Final = 9 / 16
# Of the pictures that are worth making: twice what is shown, for dense screens.
LONGEST_PX: Final = 960


MakePicture = Callable[[int], NDArray[np.uint8]]  # frame -> (H, W, 3) RGB


class FramePreview(QWidget):
    """Asks for pictures; the owner sets the caption beside them. `close_loader` ends the thread."""

    frame_changed = Signal(int)
    shown = Signal(int)  # the picture of this frame

    def __init__(self, make: MakePicture, title: str, parent: QWidget | None = None) -> None:
        """make: a frame's picture, on the preview's thread; UserError is shown in its place."""
        super().__init__(parent)
        self._frames: Sequence[int] = ()
        self._loader = FrameLoader(_Source(make), self)
        self._loader.loaded.connect(self._show)
        self._loader.failed.connect(self._fail)
        self.picture = _Picture(self)
        self.picture.setAccessibleName(title)
        self.slider = named(QSlider(Qt.Orientation.Horizontal, self), tr("Frame of the preview"))
        self.slider.setToolTip(tr("Frame of the preview"))
        self.slider.valueChanged.connect(self._choose)
        self.caption = remark("", self)
        parts = (self.picture, self.slider, self.caption, 1)
        lay_out(QVBoxLayout(self), *parts, margins=(8, 0, 0, 0))
        self.show_message("")

    @property
    def frame(self) -> int | None:
        """The one that is chosen; None: there is none to choose from."""
        return self._frames[self.slider.value()] if self._frames else None

    def set_frames(self, frames: Sequence[int], first: int) -> None:
        """frames: to choose from, ascending. The one that was chosen stays, if it is among them;
        at the beginning it is the next to `first`."""
        wanted = first if self.frame is None else self.frame
        self._frames = frames
        self.slider.setEnabled(len(frames) > 1)
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(0, len(frames) - 1))
            self.slider.setValue(min(bisect_left(frames, wanted), max(0, len(frames) - 1)))

    def choose(self, frame: int) -> None:
        """The nearest that can be chosen from there on."""
        self.slider.setValue(bisect_left(self._frames, frame))

    def refresh(self) -> None:
        """Makes the picture anew: something about it has changed."""
        frame = self.frame
        if frame is not None:
            self._loader.request(frame)

    def show_message(self, text: str) -> None:
        """In place of a picture, with nothing to choose."""
        self._frames = ()
        self.slider.setRange(0, 0)
        self.slider.setEnabled(False)
        self.caption.clear()
        self.picture.show_text(text)

    def close_loader(self) -> None:
        self._loader.close()

    def _choose(self) -> None:
        frame = self.frame
        if frame is not None:
            self.frame_changed.emit(frame)
            self.refresh()

    def _show(self, frame: int, image: QImage) -> None:
        if self._frames:
            self.picture.show_image(image)
            self.shown.emit(frame)

    def _fail(self, frame: int, error: Exception) -> None:
        if self._frames:
            summary = tr(str(error)).partition("\n\n")[0] if isinstance(error, UserError) else ""
            self.picture.show_text(summary or tr("There is no picture of this frame."))


class _Source:
    """No picture is there before it is made."""

    def __init__(self, make: MakePicture) -> None:
        self._make = make

    def __getitem__(self, frame: int, /) -> NDArray[np.uint8]:
        return self._make(frame)

    def cached(self, frame: int, /) -> None:
        return None


class _Picture(QFrame):
    """As large as there is room, in the picture's own shape; or a few words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumSize(240, 135)
        self.image: QImage | None = None
        self.text = ""

    def sizeHint(self) -> QSize:
        return QSize(360, 220)

    def heightForWidth(self, width: int) -> int:
        """As high as the picture is at this width; an upright one gets a square."""
        shape = _USUAL_SHAPE if self.image is None else self.image.height() / self.image.width()
        return round(width * min(shape, 1.0))

    def show_image(self, image: QImage) -> None:
        is_same_shape = self.image is not None and self.image.size() == image.size()
        self.image, self.text = image, ""
        if not is_same_shape:
            self.updateGeometry()
        self.update()

    def show_text(self, text: str) -> None:
        self.image, self.text = None, text
        self.setAccessibleDescription(text)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        room = self.contentsRect()
        if self.image is None:
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
            painter.drawText(room.adjusted(12, 12, -12, -12), flags, self.text)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        draw_inside(painter, self.image, room)
