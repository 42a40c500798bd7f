"""The whole program in its window, with real mouse and key events, on the sample.

Runs offscreen with the other tests, and in a real window with `-m window` and QT_QPA_PLATFORM=xcb.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.dialogs.export import ExportDialog
from gui.preferences import Preferences
from gui.window.app import build
from gui.window.arguments import WindowArguments
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.operations import Busy
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import FrameStatus
from resources import sample_folder
from tests.frames import write_video

pytestmark = [pytest.mark.e2e, pytest.mark.window]

LONG_MS = 120_000
RABBIT = (260.0, 250.0)


class Program:
    """The window as a person has it: what they press and what they see."""

    def __init__(
        self,
        qtbot: QtBot,
        preferences: Preferences,
        source: Path,
        project: Path | None = None,
    ) -> None:
        self.qtbot = qtbot
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        self.window: MainWindow = build(application, preferences, WindowArguments(source, project))
        self.is_closed = False
        self.window.resize(1280, 800)
        with qtbot.waitExposed(self.window):
            self.window.show()
        self.window.activateWindow()  # without a window manager nothing else does
        qtbot.waitUntil(self.window.isActiveWindow)

    @property
    def workspace(self) -> Workspace:
        assert self.window.workspace is not None
        return self.window.workspace

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=LONG_MS)

    def wait_for_session(self) -> None:
        self.wait(lambda: self.window.workspace is not None)
        self.wait(lambda: self.workspace.canvas.shown_frame == self.workspace.document.frame)

    def wait_until_idle(self) -> None:
        self.wait(lambda: self.workspace.annotator.operations.busy is Busy.IDLE)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier | None = None) -> None:
        modifier = modifier or Qt.KeyboardModifier.NoModifier
        self.qtbot.keyClick(self.workspace.canvas, key, modifier)
        QApplication.processEvents()

    def at(self, x: float, y: float) -> QPoint:
        """Where a source pixel is on the canvas."""
        return self.workspace.canvas.to_viewport(QPointF(x, y)).toPoint()

    def click(self, x: float, y: float, button: Qt.MouseButton | None = None) -> None:
        button = button or Qt.MouseButton.LeftButton
        self.qtbot.mouseClick(self.workspace.canvas.viewport(), button, pos=self.at(x, y))
        self.wait_until_idle()

    def labels(self, frame: int) -> np.ndarray:
        return self.workspace.document.annotation.labels(frame)

    def close(self) -> None:
        self.window.close()
        self.wait(lambda: not self.window.isVisible())
        self.window.deleteLater()
        self.is_closed = True


@pytest.fixture
def preferences(tmp_path: Path) -> Preferences:
    kept = Preferences(tmp_path / "preferences.json")
    kept.internal_size_px = 240  # a slow machine must not make the test slow
    kept.last_folder = str(tmp_path)
    kept.pauses_at_wrong_masks = False  # whether a mask goes wrong depends on the weights
    return kept


@pytest.fixture
def start(qtbot: QtBot, preferences: Preferences) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def run(*places: Path) -> Program:
        started.append(Program(qtbot, preferences, *places))
        return started[-1]

    yield run
    for program in started:
        if not program.is_closed:
            program.close()


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def test_open_click_track_correct_undo_export_close_and_find_it_all_again(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    project = tmp_path / "rabbit work.vos"
    sample = sample_folder() / "big-buck-bunny.mp4"
    program = start(sample, project)
    program.wait_for_session()
    document = program.workspace.document
    with Image.open(sample_folder() / "masks" / "0000000.png") as picture:
        truth = np.asarray(picture) > 0
    rows, columns = np.nonzero(truth)
    middle = float(columns.mean()), float(rows.mean())

    program.click(*middle)
    assert document.annotation.record(0).prompts is not None
    rabbit = document.current_object
    assert rabbit
    assert iou(program.labels(0) == rabbit, truth) > 0.4

    program.press(Qt.Key.Key_I)  # only the first ten frames
    document.set_frame(9)
    program.press(Qt.Key.Key_U)
    program.press(Qt.Key.Key_Home)
    program.press(Qt.Key.Key_F)
    assert program.workspace.annotator.tracking.is_running
    program.press(Qt.Key.Key_Right)  # looks around meanwhile
    program.wait_until_idle()
    records = document.annotation.records
    assert sorted(records) == list(range(10))
    assert records[9].status is FrameStatus.TRACKED

    document.set_frame(5)
    program.press(Qt.Key.Key_E)
    assert document.tool == "eraser"
    x, y = middle
    program.qtbot.mouseClick(
        program.workspace.canvas.viewport(), Qt.MouseButton.LeftButton, pos=program.at(x, y)
    )
    program.wait(lambda: document.annotation.record(5).status is FrameStatus.CORRECTED)
    corrected = document.annotation.record(5)
    program.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert document.annotation.record(5) == records[5]
    assert document.annotation.record(5).status is FrameStatus.TRACKED
    program.press(
        Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    assert document.annotation.record(5) == corrected
    program.press(Qt.Key.Key_F)  # from the correction on: it survives
    program.wait_until_idle()
    assert document.annotation.record(5) == corrected
    assert document.annotation.record(9).status is FrameStatus.TRACKED

    program.press(Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog))
    masks = tmp_path / "masks out"
    dialog.choose("palette-png")
    dialog.target.setText(str(masks))
    dialog.check()
    program.qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    program.wait(lambda: dialog.show_button.isVisible())
    dialog.close()
    written = sorted(path for path in masks.rglob("*.png"))
    assert len(written) == 10
    assert np.array_equal(decode_labels(written[5].read_bytes()), program.labels(5))

    entries = [entry.label for entry in program.workspace.session.history.entries]
    kept = dict(document.annotation.records)
    left_at = document.frame
    program.close()

    again = start(project)
    again.wait_for_session()
    assert again.workspace.document.frame == left_at
    assert dict(again.workspace.document.annotation.records) == kept
    history = again.workspace.session.history
    assert [entry.label for entry in history.entries] == entries
    while history.can_undo:
        again.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not again.workspace.document.annotation.records


def test_forward_on_the_last_frame_changes_nothing(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    video = write_video(tmp_path / "два кадра.mp4", 2, 96, 64)
    program = start(video)
    program.wait_for_session()
    program.press(Qt.Key.Key_End)
    program.press(Qt.Key.Key_P)
    program.click(40, 30)
    before = dict(program.workspace.document.annotation.records)
    assert list(before) == [1]
    program.press(Qt.Key.Key_F)
    program.wait_until_idle()
    assert dict(program.workspace.document.annotation.records) == before


@pytest.mark.parametrize(
    ("name", "frames", "width", "height"),
    [("one frame.mp4", 1, 64, 48), ("portrait 4K.mp4", 2, 2160, 3840)],
)
def test_odd_videos_open_and_can_be_painted_on(
    start: Callable[..., Program], tmp_path: Path, name: str, frames: int, width: int, height: int
) -> None:
    program = start(write_video(tmp_path / name, frames, width, height))
    program.wait_for_session()
    program.press(Qt.Key.Key_P)
    program.click(width / 2, height / 2)
    assert program.labels(0)[height // 2, width // 2] == 1


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
def test_folders_of_pictures_open_from_paths_with_spaces_and_other_letters(
    start: Callable[..., Program], tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "мои кадры 日本"
    folder.mkdir()
    for index in range(3):
        picture = np.full((48, 64, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(folder / f"frame {index}{suffix}")
    program = start(folder)
    program.wait_for_session()
    assert program.workspace.document.frame_count == 3
    program.press(Qt.Key.Key_P)
    program.click(30, 20)
    project = program.workspace.session.project
    assert project is not None
    assert project.folder == tmp_path / "мои кадры 日本.vos"


def test_a_file_that_is_no_video_is_reported_in_words_and_the_window_goes_on(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(os.urandom(2000))
    program = start(broken)
    program.wait(lambda: program.window.welcome.banner.isVisible())
    assert "broken.mp4" in program.window.welcome.banner.text
    assert program.window.workspace is None
