"""What the handlers of actions have in common: the window, and what is open in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from gui.annotator import Annotator
from gui.document import Document

if TYPE_CHECKING:
    from gui.main_window import MainWindow
    from gui.workspace import Workspace

__all__ = ["ActionHandlers", "tr"]


def tr(text: str) -> str:
    """Translated, in the handlers' one context."""
    return QCoreApplication.translate("Commands", text)


class ActionHandlers:
    """An action that needs a project is off while there is none."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    @property
    def _workspace(self) -> Workspace:
        workspace = self._window.workspace
        assert workspace is not None  # the action would be off
        return workspace

    @property
    def _document(self) -> Document:
        return self._workspace.document

    @property
    def _annotator(self) -> Annotator:
        return self._workspace.annotator
