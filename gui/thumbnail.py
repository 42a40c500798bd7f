"""A small picture of a project, for the list of recent ones."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt

from interaction.errors import UserError
from interaction.project.atomic_files import write_bytes

if TYPE_CHECKING:
    from gui.workspace import Workspace

__all__ = ["THUMBNAIL", "keep_thumbnail"]

THUMBNAIL: Final = "thumbnail.jpg"  # in the project's folder
_WIDTH_PX, _HEIGHT_PX = 192, 108


def keep_thumbnail(workspace: Workspace) -> None:
    """Saves what is on the canvas now. It is only for show: if it cannot be, nothing is said."""
    project = workspace.session.project
    if project is None or project.is_read_only:
        return
    picture = workspace.canvas.grab().scaled(
        _WIDTH_PX,
        _HEIGHT_PX,
        Qt.AspectRatioMode.KeepAspectRatioByExpanding,
        Qt.TransformationMode.SmoothTransformation,
    )
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if picture.save(buffer, "JPEG", 85):
        with suppress(UserError):
            write_bytes(project.folder / THUMBNAIL, bytes(data.data()))
