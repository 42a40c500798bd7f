"""Overlaps in the window: the offer to keep both, the switch, keys, stripes, and names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from gui.dialogs.export import ExportDialog
from gui.dialogs.import_masks import ImportDialog
from gui.panels.object_table import Column
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.strokes import stroke_mask
from interaction.annotation.types import Stroke
from tests.unit.test_overlap_formats import labelme, square

BEAR_AT = Stroke(((20.0, 20.0),), 9)
CUB_AT = Stroke(((30.0, 20.0),), 9)
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def pixels(stroke: Stroke) -> NDArray[np.bool_]:
    return stroke_mask(48, 60, stroke)


def press(window: MainWindow, key: Qt.Key, modifier: Qt.KeyboardModifier) -> None:
    window.update_state()
    QTest.keyClick(window, key, modifier)


@pytest.fixture
def both(workspace: Workspace, qtbot: QtBot) -> tuple[int, int]:
    """A bear that keeps covered pixels, and a cub that lies half before it."""
    document, annotator = workspace.document, workspace.annotator
    bear = document.add_object("bear")
    annotator.bulk.keep_covered(bear, True)
    qtbot.waitUntil(lambda: bear in workspace.session.annotation.keepers, timeout=20_000)
    qtbot.waitUntil(lambda: annotator.operations.is_free, timeout=20_000)
    annotator.hand.stroke(BEAR_AT)
    cub = document.add_object("cub")
    annotator.hand.stroke(CUB_AT)
    return bear, cub


def test_a_button_keeps_both_and_undo_takes_that_back(workspace: Workspace, qtbot: QtBot) -> None:
    document = workspace.document
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 4))
    document.add_object("cub")
    workspace.annotator.hand.stroke(BEAR_AT)
    banner = workspace.banner
    assert "“cub” took all pixels of “Object 1”" in banner.text
    assert banner.button.text() == "Keep both"
    QTest.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    assert document.objects[0].keeps_covered
    assert np.array_equal(workspace.session.masks.region(0, 1), pixels(Stroke(((20.0, 20.0),), 4)))
    assert np.array_equal(document.annotation.labels(0) == 2, pixels(BEAR_AT))
    workspace.annotator.undo()
    workspace.annotator.undo()
    assert np.array_equal(document.annotation.labels(0) == 1, pixels(Stroke(((20.0, 20.0),), 4)))


def test_the_button_does_nothing_once_something_else_was_done(workspace: Workspace) -> None:
    document = workspace.document
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 4))
    document.add_object("cub")
    workspace.annotator.hand.stroke(BEAR_AT)
    workspace.annotator.hand.stroke(CUB_AT)
    before = document.annotation.record(0)
    if workspace.banner.button.isVisible():
        QTest.mouseClick(workspace.banner.button, Qt.MouseButton.LeftButton)
    assert document.annotation.record(0) == before
    assert not document.objects[0].keeps_covered


def test_the_switch_is_a_column_and_off_is_one_step(
    workspace: Workspace, both: tuple[int, int], qtbot: QtBot
) -> None:
    bear, _ = both
    panel, annotation = workspace.objects_panel, workspace.session.annotation
    row = panel.view.model().index(0, Column.COVERED)
    assert "keeps what others cover" in row.data(Qt.ItemDataRole.ToolTipRole)
    at = panel.view.visualRect(row).center()
    QTest.mouseClick(
        panel.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at
    )
    qtbot.waitUntil(lambda: bear not in annotation.keepers, timeout=20_000)
    assert not annotation.record(0).beneath
    assert "loses what others cover" in row.data(Qt.ItemDataRole.ToolTipRole)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    workspace.annotator.undo()
    assert np.array_equal(workspace.session.masks.region(0, bear), pixels(BEAR_AT))


def test_keys_switch_and_move(
    window: MainWindow, workspace: Workspace, both: tuple[int, int], qtbot: QtBot
) -> None:
    bear, cub = both
    annotation, operations = workspace.session.annotation, workspace.annotator.operations
    workspace.document.set_current_object(bear)
    press(window, Qt.Key.Key_Up, CTRL | SHIFT)
    assert "“cub” would lose the pixels" in workspace.banner.text
    workspace.document.set_current_object(cub)
    press(window, Qt.Key.Key_K, CTRL)
    qtbot.waitUntil(lambda: cub in annotation.keepers, timeout=20_000)
    qtbot.waitUntil(lambda: operations.is_free, timeout=20_000)
    window.update_state()
    assert window.actions_table["object.keep_covered"].isChecked()
    press(window, Qt.Key.Key_Down, CTRL | SHIFT)
    assert np.array_equal(annotation.labels(0) == bear, pixels(BEAR_AT))
    workspace.document.set_range(0, 3)
    press(window, Qt.Key.Key_Up, CTRL | SHIFT)
    qtbot.waitUntil(
        lambda: np.array_equal(annotation.labels(0) == cub, pixels(CUB_AT)), timeout=20_000
    )


def test_moving_what_overlaps_nothing_says_so(
    window: MainWindow, workspace: Workspace, both: tuple[int, int]
) -> None:
    workspace.document.add_object("bird")
    workspace.annotator.hand.stroke(Stroke(((50.0, 40.0),), 4))
    press(window, Qt.Key.Key_Up, CTRL | SHIFT)
    assert "“bird” overlaps nothing on this frame" in workspace.banner.text


def grabbed(workspace: Workspace) -> NDArray[np.uint8]:
    image = workspace.canvas.viewport().grab().toImage()
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    data = np.frombuffer(image.constBits(), np.uint8).copy()
    return data.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), :3]


def test_stripes_lie_where_an_object_is_covered_and_a_key_takes_them_away(
    window: MainWindow, workspace: Workspace, both: tuple[int, int]
) -> None:
    with_stripes = grabbed(workspace)
    press(window, Qt.Key.Key_K, SHIFT)
    assert not workspace.document.shows_covered
    assert not window.preferences.shows_covered
    without = grabbed(workspace)
    changed = (with_stripes != without).any(axis=2)
    assert changed.any()
    hidden = pixels(BEAR_AT) & pixels(CUB_AT)
    rows, columns = np.nonzero(hidden)
    to_view = workspace.canvas.viewportTransform()
    margin = 4
    first = to_view.map(QPointF(float(columns.min()), float(rows.min())))
    last = to_view.map(QPointF(float(columns.max() + 1), float(rows.max() + 1)))
    left, top, right, bottom = first.x(), first.y(), last.x(), last.y()
    y, x = np.nonzero(changed)
    assert y.min() >= top - margin
    assert y.max() <= bottom + margin
    assert x.min() >= left - margin
    assert x.max() <= right + margin
    share = changed[int(top) : int(bottom), int(left) : int(right)].mean()
    assert 0.1 < share < 0.8  # stripes, not a fill
    press(window, Qt.Key.Key_K, SHIFT)
    assert np.array_equal(grabbed(workspace), with_stripes)


def test_the_names_of_all_objects_under_the_cursor_are_shown(
    window: MainWindow, workspace: Workspace, both: tuple[int, int], qtbot: QtBot
) -> None:
    canvas = workspace.canvas
    to_view = canvas.viewportTransform()

    def point_at(x: float, y: float) -> None:
        QTest.mouseMove(canvas.viewport(), to_view.map(QPointF(x, y)).toPoint())

    place = window.status_line.cursor_place
    point_at(25.5, 20.5)
    qtbot.waitUntil(lambda: place.text().endswith("cub over bear"), timeout=20_000)
    point_at(36.5, 20.5)
    qtbot.waitUntil(lambda: place.text().endswith("· cub"), timeout=20_000)


def test_an_export_asks_about_covered_pixels_where_there_are_any(
    workspace: Workspace,
    both: tuple[int, int],
    preferences: Preferences,
    owner: QMainWindow,
    qtbot: QtBot,
) -> None:
    dialog = ExportDialog(workspace.document, workspace.annotator, preferences, owner)
    dialog.show()
    qtbot.waitExposed(dialog)
    assert dialog.covered.isVisible()
    assert dialog.settings().has_covered
    QTest.mouseClick(dialog.covered, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert not dialog.settings().has_covered
    dialog.check()
    assert "left out, as asked for, on 1 frame: 0" in dialog.preview.toPlainText()
    dialog.close()


def test_an_import_asks_where_objects_overlap(
    workspace: Workspace,
    preferences: Preferences,
    owner: QMainWindow,
    tmp_path: Path,
    qtbot: QtBot,
    open_path: Callable[[Path], Workspace],
) -> None:
    dialog = ImportDialog(workspace.document, workspace.annotator, preferences, owner)
    dialog.show()
    qtbot.waitExposed(dialog)
    path = labelme(tmp_path / "shapes", [("bus", square(5, 5, 30)), ("man", square(10, 10, 10))])
    for file in path.iterdir():
        text = file.read_text().replace("64", "60").replace("00000.png", "0000000.png")
        (path / "0000000.json").write_text(text)
        file.unlink()
    dialog.look(path)
    qtbot.waitUntil(lambda: dialog.keeps_covered.isEnabled(), timeout=20_000)
    assert "overlap on 1 frame" in dialog.report.toPlainText()
    QTest.mouseClick(dialog.keeps_covered, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    qtbot.waitUntil(lambda: "kept, from now on" in dialog.report.toPlainText(), timeout=20_000)
    QTest.mouseClick(dialog.import_button, Qt.MouseButton.LeftButton)
    annotation = workspace.session.annotation
    qtbot.waitUntil(lambda: bool(annotation.record(0).covered), timeout=20_000)
    assert annotation.object(1).keeps_covered
