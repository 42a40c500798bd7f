"""What stands on the canvas for an answer that is still being computed."""

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, QTimer

from gui.annotator import Annotator, Busy
from gui.canvas.markers import ClickMarkers
from gui.canvas.shown_frame import ShownFrame
from gui.canvas.sketch import Sketch
from gui.document import Document
from interaction.types import Click

__all__ = ["Awaited"]

# An answer that changes nothing, or is refused, sends no word: what it was to replace is wiped.
_PATIENCE_MS: Final = 400


class Awaited(QObject):
    """Keeps clicks, sketch and stroke in sight until the mask that they ask for is there."""

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        shown: ShownFrame,
        markers: ClickMarkers,
        sketch: Sketch,
        is_drawing: Callable[[], bool],
        parent: QObject,
    ) -> None:
        """is_drawing: whether the sketch belongs to a gesture that still goes on."""
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._shown, self._markers, self._sketch = shown, markers, sketch
        self._is_drawing = is_drawing
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE_MS)
        self._patience.timeout.connect(self._settle)
        document.objects_changed.connect(self.show_clicks)
        document.current_object_changed.connect(self.show_clicks)
        annotator.clicked.connect(self._expect_click)
        annotator.failed.connect(self._settle)
        annotator.busy_changed.connect(self._follow_busy)
        annotator.awaited_changed.connect(self._settle)

    def expect_masks(self) -> None:
        """What is sketched stays until the masks have changed, but not for ever."""
        self._patience.start()

    def masks_arrived(self) -> None:
        """The shown frame has other masks now."""
        if not self._is_drawing():
            self._sketch.clear()
            self._patience.stop()
        self.show_clicks()

    def show_clicks(self, *_: object) -> None:
        """The current object's clicks on the shown frame, those that wait included."""
        frame = self._shown.frame
        if frame < 0:
            return
        prompts = self._document.annotation.record(frame).prompts
        object_id = self._document.current_object
        is_own = prompts is not None and prompts.object_id == object_id
        clicks = prompts.clicks if prompts is not None and is_own else ()
        self._markers.show(frame, object_id, clicks, self._shown.color_of(object_id))

    def _expect_click(self, asked: tuple[int, Click]) -> None:
        frame, click = asked
        self._markers.expect(frame, self._document.current_object, click)
        self.show_clicks()

    def _follow_busy(self, busy: Busy) -> None:
        if busy is Busy.IDLE:
            self._settle()

    def _settle(self, *_: object) -> None:
        """Nothing is awaited any more: what is shown is what is."""
        self._patience.stop()
        # Beside a longer run the answer is awaited although that is what the program is at.
        if self._annotator.busy is Busy.CLICKING or self._annotator.awaits_answers:
            return
        if self._markers.forget_expected():
            self.show_clicks()
        if not self._is_drawing():
            self._sketch.clear()
            self._shown.preview.end()
