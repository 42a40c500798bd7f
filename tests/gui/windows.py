"""Windows of tests, and what is done while the program in them is at work."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.annotator import Annotator
from gui.work.operations import Busy

__all__ = ["click", "is_idle", "once_at", "press", "press_when_asked", "shown"]

_NO_KEY = Qt.KeyboardModifier.NoModifier


def press_when_asked(*texts: str) -> list[str]:
    """As soon as a question is on the screen, press the button of the first text with the mouse; at
    the next question, that of the second. What the questions say is in the list by then."""
    questions: list[str] = []
    _press_when_asked(texts, questions)
    return questions


def _press_when_asked(texts: tuple[str, ...], questions: list[str]) -> None:

    def look() -> None:
        boxes = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox)]
        shown = [box for box in boxes if box.isVisible()]
        if not shown:
            QTimer.singleShot(1, look)
            return
        [button] = [button for button in shown[0].buttons() if button.text() == texts[0]]
        questions.append(shown[0].text())
        if texts[1:]:
            _press_when_asked(texts[1:], questions)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    QTimer.singleShot(1, look)


def shown(widget: QWidget, qtbot: QtBot) -> None:
    with qtbot.waitExposed(widget):
        widget.show()


def once_at(annotator: Annotator, frame: int, act: Callable[[], None]) -> None:
    """Acts when tracking has come to the frame for the first time."""
    heads: list[int] = []

    def follow(head: int) -> None:
        if head == frame and frame not in heads:
            heads.append(head)
            act()

    annotator.tracking.tracked.connect(follow)


def press(window: MainWindow, key: Qt.Key, modifiers: Qt.KeyboardModifier = _NO_KEY) -> None:
    QApplication.processEvents()
    QTest.keyClick(window.focusWidget() or window, key, modifiers)
    QApplication.processEvents()


def click(
    workspace: Workspace,
    x: float,
    y: float,
    button: Qt.MouseButton = Qt.MouseButton.LeftButton,
    modifiers: Qt.KeyboardModifier = _NO_KEY,
) -> None:
    """On the picture, at source pixels."""
    at = workspace.canvas.to_viewport(QPointF(x, y)).toPoint()
    QTest.mouseClick(workspace.canvas.viewport(), button, modifiers, at)


def is_idle(workspace: Workspace) -> bool:
    return workspace.annotator.operations.busy is Busy.IDLE
