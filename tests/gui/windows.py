"""Windows of tests, and what is done while the program in them is at work."""

from collections.abc import Callable

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui.work.annotator import Annotator

__all__ = ["once_at", "shown"]


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

    annotator.tracked.connect(follow)
