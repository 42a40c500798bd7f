"""Every screen and dialog, light and dark, small and large: it opens, shows something, and has a
name for every control.

With SCREENSHOTS=FOLDER pictures of them are left there, to be looked at; compressing them takes
longer than all the rest.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui.dialogs.export import ExportDialog
from gui.dialogs.import_masks import ImportDialog
from gui.preferences import Preferences
from gui.theme import set_scheme
from gui.window.app import build
from gui.window.arguments import WindowArguments
from gui.window.main_window import MainWindow
from gui.work.document import ViewMode
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.types import FrameStatus
from resources import sample_folder
from tests.fake_engines import FakeEngines

pytestmark = pytest.mark.e2e

SCREENSHOTS = os.environ.get("SCREENSHOTS")
SIZES = ((1280, 800), (2560, 1440))
RABBIT, STONE = "rabbit", "moss-overgrown sandstone"
DIALOGS = {
    "file.import": "import",
    "file.export": "export",
    "file.save_version": "versions",
    "file.preferences": "preferences",
    "file.models": "models",
    "view.effort": "effort",
    "help.cheat_sheet": "cheat sheet",
    "help.shortcuts": "shortcuts",
    "help.commands": "commands",
    "help.log": "log",
    "help.about": "about",
}
CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
)


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    """On the sample, with two objects, some tracked frames and a history, without any network."""
    preferences = Preferences(tmp_path / "p.json")
    preferences.pauses_at_wrong_masks = False  # the tiny network's masks jump about
    preferences.last_folder = str(tmp_path)
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    sample = str(sample_folder() / "big-buck-bunny.mp4")
    arguments = WindowArguments(Path(sample), tmp_path / "rabbit.vos")
    window = build(application, preferences, arguments)
    window.opener.engines = FakeEngines()  # type: ignore[assignment]  # keeps the contract
    window.resize(1280, 800)
    with qtbot.waitExposed(window):
        window.show()
    qtbot.waitUntil(lambda: window.workspace is not None, timeout=60_000)
    annotate(window)
    yield window
    window.close()
    window.deleteLater()
    set_scheme("system")


def annotate(window: MainWindow) -> None:
    from interaction.annotation.annotation import make_record
    from interaction.annotation.types import Edit

    workspace = window.workspace
    assert workspace is not None
    document = workspace.document
    rabbit, stone = document.add_object(RABBIT), document.add_object(STONE)
    mask = mask_of(rabbit, stone)
    for frame in range(60):
        status = FrameStatus.CONFIRMED if frame in (0, 30) else FrameStatus.TRACKED
        doubt = 0.0 if status is FrameStatus.CONFIRMED else (frame % 20) / 20
        shown = mask if frame < 45 else np.where(mask == stone, 0, mask).astype(np.uint8)
        record = make_record(shown, status, doubt=doubt)
        before = {frame: document.annotation.record(frame)}
        assert document.apply(Edit("Track forward", before, {frame: record}, group="run"))
    document.set_frame(24)
    document.set_current_object(rabbit)


def mask_of(rabbit: int, stone: int) -> NDArray[np.uint8]:
    """(H, W) object ids."""
    with Image.open(sample_folder() / "masks" / "0000000.png") as picture:
        mask = (np.asarray(picture) > 0).astype(np.uint8) * np.uint8(rabbit)
    mask[300:350, 620:760] = stone
    return mask


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder to import: the two objects that are there, a little moved, and a third."""
    folder = tmp_path / "masks of a colleague"
    folder.mkdir()
    mask = mask_of(1, 2)
    mask[40:120, 60:220] = 3
    for frame in range(20, 28):
        moved = np.roll(mask, 4 * (frame - 24), axis=1)
        (folder / f"{frame:07}.png").write_bytes(encode_labels(moved))
    return folder


def test_every_screen_is_drawn_and_every_control_has_a_name(
    window: MainWindow, masks: Path, qtbot: QtBot
) -> None:
    workspace = window.workspace
    assert workspace is not None
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 24, timeout=60_000)
    nameless: set[str] = set()
    for width, height in SIZES:
        window.resize(width, height)
        for scheme in ("dark", "light"):
            set_scheme(scheme)
            stem = f"{width}x{height} {scheme}"
            check(window, f"window {stem}")
            for mode in ViewMode:
                if mode is ViewMode.LAYER:
                    continue
                workspace.document.set_view_mode(mode)
                check(window, f"view {mode.value} {stem}")
            workspace.document.set_view_mode(ViewMode.OVERLAY)
            for action, name in DIALOGS.items():
                dialog = opened(window, action, qtbot)
                fill(dialog, masks, qtbot)
                check(dialog, f"{name} {stem}")
                nameless |= {f"{name}: {one}" for one in without_name(dialog)}
                dialog.close()
    nameless |= {f"window: {one}" for one in without_name(window)}
    assert nameless == set()


def test_welcome_and_errors_are_drawn(window: MainWindow) -> None:
    workspace = window.workspace
    assert workspace is not None
    workspace.banner.show_error(
        "The disk is full. What was saved before is untouched.", "Free some."
    )
    check(window, "error")
    assert window.close_session()
    for scheme in ("dark", "light"):
        set_scheme(scheme)
        check(window, f"welcome {scheme}")
    assert without_name(window) == set()


def opened(window: MainWindow, action: str, qtbot: QtBot) -> QDialog:
    window.update_state()
    window.actions_table[action].trigger()

    def new() -> list[QDialog]:
        return [
            widget
            for widget in QApplication.topLevelWidgets()
            if isinstance(widget, QDialog) and widget.isVisible()
        ]

    qtbot.waitUntil(lambda: bool(new()))
    return new()[0]


def fill(dialog: QDialog, masks: Path, qtbot: QtBot) -> None:
    """Import and export are shown as they are when the button is about to be pressed."""
    if isinstance(dialog, ImportDialog):
        dialog.look(masks)
        preview = dialog.picture
    elif isinstance(dialog, ExportDialog):
        preview = dialog.picture.preview
    else:
        return
    qtbot.waitUntil(lambda: preview.picture.image is not None, timeout=60_000)
    if isinstance(dialog, ImportDialog):
        assert dialog.table.rowCount() == 3


def check(widget: QWidget, name: str) -> None:
    """What the widget looks like once it has come to rest is not one flat colour."""
    QApplication.processEvents()
    QApplication.processEvents()
    image = widget.grab().toImage()
    if SCREENSHOTS:
        folder = Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        assert image.save(str(folder / f"{name}.png"))
    colors = {
        image.pixel(x, y) for x in range(0, image.width(), 9) for y in range(0, image.height(), 9)
    }
    assert len(colors) > 2, f"{name} shows nothing"


def without_name(top: QWidget) -> set[str]:
    """Visible controls that a screen reader could say nothing about."""
    found = set()
    for widget in top.findChildren(QWidget):
        if not isinstance(widget, CONTROLS) or not widget.isVisible():
            continue
        parent = widget.parentWidget()
        is_part = isinstance(parent, QAbstractSpinBox | QComboBox | QTabBar)
        if is_part or isinstance(widget, QScrollBar | QHeaderView):  # named by what they are of
            continue
        if widget.objectName().startswith("qt_") or type(widget).__name__.startswith("QComboBox"):
            continue
        text = widget.text() if isinstance(widget, QAbstractButton) else ""
        if not (widget.accessibleName() or text):
            found.add(f"{type(widget).__name__} {widget.toolTip()!r} in {type(parent).__name__}")
    return found
