"""Which frame is on the canvas, and what its masks look like."""

from dataclasses import replace
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QImage

from gui.canvas.backdrop import Backdrop, Look
from gui.canvas.frame_loader import FrameLoader
from gui.canvas.layer import Layer
from gui.canvas.stroke_preview import StrokePreview
from gui.document import Document
from interaction.object_colors import next_color
from interaction.project.mask_colors import davis_palette
from interaction.strokes import Rectangle
from xmem_core.arrays import Labels

__all__ = ["ShownFrame"]

_PALETTE: Final = tuple((int(r) << 16) | (int(g) << 8) | int(b) for r, g, b in davis_palette())


class ShownFrame(QObject):
    """Follows the document and keeps the backdrop up to date.

    Picture and masks change together: while a picture is being decoded, the frame before stays.
    """

    changed = Signal(object)  # interaction.strokes.Rectangle to paint again, or None for all
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
        labels = self._backdrop.labels
        height, width = labels.shape
        if not (0 <= x < width and 0 <= y < height):
            return 0
        found = int(labels[int(y), int(x)])
        return found if found in self._backdrop.look.colors else 0

    @property
    def source_offset(self) -> float:
        """How far right the source lies beside the overlay, in source pixels."""
        return self._backdrop.source_offset

    def color_of(self, object_id: int) -> QColor:
        """An object that is still to be made has the colour it will get."""
        one = self._document.object(object_id)
        if one is not None:
            return QColor(*one.color)
        return QColor(*next_color(other.color for other in self._document.objects))

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
            for one in (before, object_id):
                box = self._backdrop.bounds_of(one) if one else None
                if box is not None:
                    self.changed.emit(box)

    def update_look(self, *_: object) -> None:
        document = self._document
        colors = {one: _PALETTE[one] for one in range(1, 256)}
        drawn = self.preview.object_id
        if drawn and document.object(drawn) is None:
            colors[drawn] = self.color_of(drawn).rgb() & 0xFFFFFF
        for one in document.objects:
            red, green, blue = one.color
            colors[one.id] = (red << 16) | (green << 8) | blue
        for one in document.objects:
            if not document.is_shown(one.id):
                del colors[one.id]
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
        """Whether a picture was on its way when somebody came back to what is shown already."""
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
        self._show(frame, str(error))
        self.failed.emit(frame, error)

    def _show(self, frame: int, problem: str) -> None:
        is_same = frame == self._frame
        self._frame, self._problem = frame, problem
        if is_same and self.preview.is_active:
            self.preview.rebase(self.labels())  # a picture that was asked for twice
        else:
            self.preview.end()
            self._backdrop.set_labels(self.labels())
        self._show_neighbours()
        self.changed.emit(None)
        self.arrived.emit(frame)

    def _follow_masks(self, frames: set[int]) -> None:
        if self._frame < 0:
            return
        if self._frame in frames:
            if self.preview.is_drawing:
                self.preview.rebase(self.labels())
            else:
                self.preview.end()
                self._backdrop.set_labels(self.labels())
                self.changed.emit(None)
        if self._document.has_onion_skin and {self._frame - 1, self._frame + 1} & frames:
            self._show_neighbours()

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
        had_any = self._backdrop.has_neighbours
        previous, following = (
            self._neighbour(self._frame + step) if self._document.has_onion_skin else None
            for step in (-1, 1)
        )
        self._backdrop.set_neighbours(previous, following)
        if had_any or self._backdrop.has_neighbours:
            self.changed.emit(None)

    def _neighbour(self, frame: int) -> Labels | None:
        annotation = self._document.annotation
        if not 0 <= frame < annotation.frame_count or annotation.record(frame).mask is None:
            return None
        return annotation.labels(frame)
