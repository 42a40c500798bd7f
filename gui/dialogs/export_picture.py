"""What a frame will look like in the format that is chosen, where that is something to look at."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from gui.dialogs.frame_preview import LONGEST_PX, FramePreview
from gui.wheel_guard import guard_wheel
from interaction.project.exporters import (
    FORMATS,
    ExportSettings,
    ExportSource,
    export_pictures,
)
from interaction.project.video import Video

__all__ = ["ExportPicture"]


class ExportPicture(QWidget):
    """A frame may become several files: one of them is shown."""

    def __init__(self, video: Video, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures = _Pictures(video)
        self.preview = FramePreview(self._pictures, self.tr("What a frame will look like"), self)
        self.preview.shown.connect(self._show_names)
        self.files = QComboBox(self)
        self.files.setAccessibleName(self.tr("File of the preview"))
        self.files.setToolTip(self.tr("Which of a frame’s files is shown"))
        self.files.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.files.setMinimumContentsLength(20)
        guard_wheel(self.files)
        self.files.currentIndexChanged.connect(self._choose_file)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        files = QHBoxLayout()
        files.setContentsMargins(8, 0, 0, 0)
        files.addWidget(self.files)
        column.addLayout(files)
        column.addWidget(self.preview, 1)
        self.show_nothing()

    def show_export(
        self, source: ExportSource, settings: ExportSettings, frames: Sequence[int], first: int
    ) -> None:
        """What would be written. frames: of the export; first: which is to be seen first."""
        if FORMATS[settings.format].pictures is None:
            self.show_nothing(self.tr("This format holds numbers: there is nothing to look at."))
            return
        old = self._pictures.settings
        if old is None or old.format != settings.format:
            self.files.setCurrentIndex(0)
        self._pictures.source, self._pictures.settings = source, settings
        self.preview.set_frames(frames, first)
        self.preview.refresh()

    def show_nothing(self, why: str = "") -> None:
        self._set_names(())
        self.preview.show_message(why)

    def close_loader(self) -> None:
        self.preview.close_loader()

    def _show_names(self, frame: int) -> None:
        self._set_names(self._pictures.names)
        self.preview.caption.setText(self.tr("Frame {}").format(frame))

    def _set_names(self, names: tuple[str, ...]) -> None:
        if names != tuple(self.files.itemText(row) for row in range(self.files.count())):
            chosen = max(0, min(self.files.currentIndex(), len(names) - 1))
            self.files.blockSignals(True)
            self.files.clear()
            self.files.addItems(names)
            self.files.setCurrentIndex(chosen)
            self.files.blockSignals(False)
            self._pictures.chosen = chosen
        self.files.setToolTip(self.files.currentText())
        self.files.setEnabled(len(names) > 1)

    def _choose_file(self, row: int) -> None:
        self._pictures.chosen = max(0, row)
        self.preview.refresh()


class _Pictures:
    """What the preview asks, on its own thread, for pictures of what is chosen then."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self.source: ExportSource | None = None
        self.settings: ExportSettings | None = None
        self.chosen = 0  # of the frame's files
        self.names: tuple[str, ...] = ()  # of the files of the newest picture

    def __getitem__(self, frame: int, /) -> NDArray[np.uint8]:
        source, settings = self.source, self.settings
        if source is None or settings is None:
            raise LookupError("nothing is chosen yet")
        pictures = export_pictures(source, settings, frame, self._video, LONGEST_PX)
        self.names = tuple(one.name for one in pictures)
        return pictures[min(self.chosen, len(pictures) - 1)].picture

    def cached(self, frame: int, /) -> None:
        return None
