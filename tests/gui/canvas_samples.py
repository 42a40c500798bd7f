"""A canvas over made-up frames in memory, an annotator that notes what tools ask for, a mouse."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.canvas import CanvasView
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.annotation.annotation import make_record
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import Click, Edit, FrameStatus, Prompts, Stroke
from interaction.session import Session
from interaction.video.video import Video
from tests.fake_engines import FakeEngines
from tests.gui.recording_annotator import Part, RecordingAnnotator
from xmem_core.arrays import Labels

WIDTH, HEIGHT = 320, 180
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
MIDDLE, NONE = Qt.MouseButton.MiddleButton, Qt.MouseButton.NoButton
NO_KEY = Qt.KeyboardModifier.NoModifier


class MemoryVideo:
    """Frame n is all of brightness 20 + 10 n. Frames in `slow` are decoded only when let go."""

    width, height = WIDTH, HEIGHT

    def __init__(self, count: int = 6) -> None:
        self.count = count
        self.slow: set[int] = set()
        self.broken: set[int] = set()
        self.may_go_on = threading.Event()
        self.decoded_on: list[str] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        self.decoded_on.append(threading.current_thread().name)
        if index in self.slow:
            assert self.may_go_on.wait(30)
        if index in self.broken:
            raise ValueError("nothing but noise")
        return self._frame(index)

    def cached(self, index: int) -> NDArray[np.uint8] | None:
        return None if index in self.slow | self.broken else self._frame(index)

    def _frame(self, index: int) -> NDArray[np.uint8]:
        return np.full((HEIGHT, WIDTH, 3), 20 + 10 * index, np.uint8)


class AskedHand(Part):
    """Does strokes, as the real one does, if it `is_obliging`."""

    def __init__(self, document: Document, asked: list[tuple[Any, ...]], parent: QObject) -> None:
        super().__init__(asked, parent)
        self.document = document
        self.is_obliging = False
        self.reveals = 0

    def show_current_object(self) -> None:
        self.reveals += 1

    def stroke(self, stroke: Stroke) -> None:
        self.asked.append(("stroke", stroke))
        if self.is_obliging:
            document = self.document
            document.do(StrokeRequest(document.frame, document.current_object, stroke))


class AskedPrompts(Part):
    def __init__(self, document: Document, asked: list[tuple[Any, ...]], parent: QObject) -> None:
        super().__init__(asked, parent)
        self.document = document

    def click(self, x: float, y: float, is_positive: bool = True) -> None:
        self.asked.append(("click", x, y, is_positive))
        self.clicked.emit((self.document.frame, Click(x, y, is_positive)))


class AskedAnnotator(RecordingAnnotator):
    """Notes what tools ask for."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.hand: AskedHand = AskedHand(document, self.asked, self)
        self.prompts = AskedPrompts(document, self.asked, self)


class Mouse:
    """Moves over a canvas in source pixels, through real events, exact between window pixels."""

    def __init__(self, view: CanvasView) -> None:
        self._view = view
        self._held = NONE

    def press(self, x: float, y: float, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        self._held = button
        self._send(QEvent.Type.MouseButtonPress, x, y, button, button, keys)

    def move(self, x: float, y: float, keys: Any = NO_KEY) -> None:
        self._send(QEvent.Type.MouseMove, x, y, NONE, self._held, keys)

    def release(self, x: float, y: float, keys: Any = NO_KEY) -> None:
        button, self._held = self._held, NONE
        self._send(QEvent.Type.MouseButtonRelease, x, y, button, NONE, keys)

    def click(self, x: float, y: float, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        self.press(x, y, button, keys)
        self.release(x, y, keys)

    def double_click(self, x: float, y: float) -> None:
        self.click(x, y)
        self._held = LEFT
        self._send(QEvent.Type.MouseButtonDblClick, x, y, LEFT, LEFT, NO_KEY)
        self.release(x, y)

    def drag(
        self, points: Sequence[tuple[float, float]], button: Any = LEFT, keys: Any = NO_KEY
    ) -> None:
        self.press(*points[0], button, keys)
        for point in points[1:]:
            self.move(*point, keys)
        self.release(*points[-1], keys)

    def _send(
        self, kind: QEvent.Type, x: float, y: float, button: Any, buttons: Any, keys: Any
    ) -> None:
        at = self._view.to_viewport(QPointF(x, y))
        viewport = self._view.viewport()
        everywhere = at + QPointF(viewport.mapToGlobal(QPoint(0, 0)))
        QApplication.sendEvent(viewport, QMouseEvent(kind, at, everywhere, button, buttons, keys))


def press_key(view: CanvasView, key: Qt.Key) -> None:
    QTest.keyPress(view, key)


def release_key(view: CanvasView, key: Qt.Key) -> None:
    QTest.keyRelease(view, key)


def tap_key(view: CanvasView, key: Qt.Key) -> None:
    QTest.keyClick(view, key)


class Canvas:
    """All of it: `view`, `document`, `annotator`, `video`, `mouse`."""

    def __init__(self, qtbot: QtBot) -> None:
        self.video = MemoryVideo()
        session = Session(cast(Video, self.video), engines=FakeEngines())
        self.document = Document(session)
        self.document.add_object("dog")
        self.document.add_object("cat")
        self.document.set_current_object(1)
        self.annotator = AskedAnnotator(self.document)
        self.view = CanvasView(self.document, cast(Annotator, self.annotator))
        self.mouse = Mouse(self.view)
        qtbot.addWidget(self.view)
        self.view.resize(700, 420)
        self.view.show()
        qtbot.waitExposed(self.view)

    @property
    def asked(self) -> list[tuple[Any, ...]]:
        return self.annotator.asked

    def put_mask(
        self, labels: Labels, frame: int = 0, clicks: Sequence[Click] = (), object_id: int = 1
    ) -> None:
        prompts = None
        if clicks:
            prompts = Prompts(object_id, None, FrameStatus.EMPTY, tuple(clicks))
        record = make_record(labels, FrameStatus.CORRECTED, prompts=prompts)
        before = {frame: self.document.annotation.record(frame)}
        assert self.document.apply(Edit("Test", before=before, after={frame: record}))

    def pixel(self, x: float, y: float) -> tuple[int, int, int]:
        """RGB of what is on the screen at the centre of a source pixel."""
        image = self.view.viewport().grab().toImage()
        at = self.view.to_viewport(QPointF(x + 0.5, y + 0.5)) * image.devicePixelRatio()
        color = image.pixelColor(int(at.x()), int(at.y()))
        return color.red(), color.green(), color.blue()


@contextmanager
def open_canvas(qtbot: QtBot) -> Iterator[Canvas]:
    canvas = Canvas(qtbot)
    try:
        yield canvas
    finally:
        canvas.video.may_go_on.set()
        canvas.view.shutdown()


def half_mask() -> Labels:
    """Object 1 on the left half, object 2 in a square on the right."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, : WIDTH // 2] = 1
    labels[60:120, 200:260] = 2
    return labels
