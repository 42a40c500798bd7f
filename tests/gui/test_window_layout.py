"""The window's parts at every size: nothing squashed, nothing pushed about, values to be seen."""

import time
from collections.abc import Callable
from gettext import NullTranslations
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from gui.actions.actions import Actions
from gui.canvas.view_modes import pixels_of
from gui.dialogs.models import ModelsDialog
from gui.dialogs.preferences import PreferencesDialog
from gui.language import use_catalogue
from gui.preferences import Preferences, RecentProject
from gui.theme import set_scheme
from gui.welcome import WelcomePage
from gui.window.app import fit_to_screen
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.document import ViewMode
from interaction.annotation.types import Stroke
from interaction.errors import MissingModelError

DAB = Stroke(((20.0, 20.0),), 6)


@pytest.fixture
def workspace(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> Workspace:
    workspace = open_path(clip)
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 0, timeout=20_000)
    QApplication.processEvents()
    return workspace


def settle() -> None:
    for _ in range(3):
        QApplication.processEvents()


# Messages


def test_a_message_moves_nothing_in_the_picture(workspace: Workspace) -> None:
    place, size = QPointF(3, 4), workspace.canvas.size()
    before = workspace.canvas.to_viewport(place)
    workspace.banner.show_notice("Something to know.")
    settle()
    assert workspace.banner.isVisible()
    assert workspace.canvas.size() == size
    assert workspace.canvas.to_viewport(place) == before


def test_a_message_is_as_wide_as_the_picture_and_as_high_as_its_words(
    window: MainWindow, workspace: Workspace
) -> None:
    workspace.show_error("What went wrong.", "What to do. " * 60)
    settle()
    low = workspace.banner.height()
    workspace.banner.more.setChecked(True)
    settle()
    assert workspace.banner.height() > low
    window.resize(window.width() + 60, window.height())
    settle()
    assert workspace.banner.width() == workspace.canvas.width()


def test_a_name_in_a_message_is_no_html(window: MainWindow, workspace: Workspace) -> None:
    text = workspace.banner.findChildren(QLabel)[1]
    workspace.banner.show_notice("“<i></i>cat” is locked.")
    assert text.textFormat() == Qt.TextFormat.PlainText
    assert window.status_line.cursor_place.textFormat() == Qt.TextFormat.PlainText


def test_no_place_is_named_above_the_picture(window: MainWindow, workspace: Workspace) -> None:
    window.status_line.show_cursor(workspace.document, 5, 4, 0)
    assert window.status_line.cursor_place.text() == "x 5  y 4"
    window.status_line.show_cursor(workspace.document, 5, -4, 0)
    assert not window.status_line.cursor_place.text()


def test_two_offers_leave_room_to_the_words_in_a_small_window(
    window: MainWindow, workspace: Workspace
) -> None:
    banner, words = workspace.banner, "What would help the tracker here. " * 6

    def offer() -> None:
        banner.show_offers(words, ("Learn from these frames", settle), ("Get XMem", settle))
        settle()

    window.resize(1280, 800)
    offer()
    assert banner.button.y() == banner.second_button.y()
    window.resize(window.minimumSize())
    settle()
    assert banner.button.geometry().bottom() < banner.second_button.y()
    assert banner.height() < workspace.canvas.height() / 2
    banner.show_notice("Done.")
    settle()
    assert banner.height() < 60


def test_the_sign_of_a_message_follows_the_colours(workspace: Workspace) -> None:
    workspace.show_error("There is nothing to track.")
    sign = workspace.banner.findChildren(QLabel)[0]
    seen = []
    try:
        for scheme in ("light", "dark"):
            set_scheme(scheme)
            settle()
            seen.append(sign.pixmap().toImage())
    finally:
        set_scheme("system")
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("size", "is_too_large"), [((4000, 500), 1), ((500, 4000), 1), ((500, 400), 0)]
)
def test_a_window_that_its_screen_cannot_hold_is_maximised(
    size: tuple[int, int], is_too_large: int, qtbot: QtBot
) -> None:
    """Its status line would be below the screen."""
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(*size)
    fit_to_screen(window)
    assert window.isMaximized() == bool(is_too_large)


def test_an_error_goes_when_the_next_thing_works(workspace: Workspace) -> None:
    workspace.show_error("There is nothing to track.")
    assert workspace.banner.isVisible()
    workspace.annotator.hand.stroke(DAB)
    assert not workspace.banner.isVisible()


def test_an_error_beside_a_run_is_not_over_with_the_next_tracked_frame(
    workspace: Workspace, qtbot: QtBot
) -> None:
    annotator = workspace.annotator
    annotator.hand.stroke(DAB)
    annotator.tracking.tracked.connect(
        lambda frame: workspace.show_error("It went wrong.") if frame == 2 else None
    )
    with qtbot.waitSignal(
        annotator.operations.busy_changed,
        check_params_cb=lambda busy: busy.value == "idle",
        timeout=20_000,
    ):
        annotator.tracking.start("forward")
    assert workspace.banner.isVisible()
    assert workspace.banner.accessibleName() == "It went wrong."
    annotator.hand.stroke(DAB)
    workspace.document.set_frame(1)
    annotator.hand.stroke(DAB)
    # What is offered because the run was in doubt waits for the error to go.
    assert workspace.banner.accessibleName() != "It went wrong."


def test_what_lasts_is_there_again_after_another_message(workspace: Workspace) -> None:
    banner = workspace.banner
    workspace.show_error("The disk is full.", lasts=True)
    workspace.annotator.hand.stroke(DAB)
    assert banner.text == "The disk is full."
    workspace.show_error("There is nothing to track.")
    workspace.document.add_object()
    assert banner.isVisible()
    assert banner.text == "The disk is full."
    banner.close_button.click()
    assert not banner.isVisible()


def test_a_missing_model_is_one_button_away(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    window.show_failure(MissingModelError("XMem", "Download it."))
    button = workspace.banner.button
    assert button.isVisible()
    assert "Models" in button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    dialog = window.findChild(ModelsDialog)
    assert isinstance(dialog, ModelsDialog)
    assert dialog.isVisible()
    assert dialog.current_name() == "XMem"
    dialog.close()


# The tool bar and the status line


def test_the_view_list_asks_for_a_layer_as_the_menu_does(
    window: MainWindow, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def choose(*_: object) -> tuple[str, str]:
        asked.append(True)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    window.update_state()
    modes = window.tool_bar.modes
    index = modes.findData(ViewMode.LAYER)
    modes.setCurrentIndex(index)
    modes.activated.emit(index)
    assert asked
    assert workspace.document.view_mode is ViewMode.OVERLAY
    assert modes.currentData() is ViewMode.OVERLAY


def test_a_layer_that_is_no_picture_is_reported(
    window: MainWindow,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(broken), ""))
    window.update_state()
    window.actions_table["view.layer"].trigger()
    assert workspace.banner.isVisible()
    assert "broken.png" in workspace.banner.text


def test_the_brush_and_the_zoom_are_to_be_seen(window: MainWindow, workspace: Workspace) -> None:
    status, document = window.status_line, workspace.document
    document.set_tool("click")
    window.update_state()
    assert status.brush.text() == ""
    document.set_tool("brush")
    window.update_state()
    document.set_brush_radius_px(16.5)
    assert "33" in status.brush.text()
    workspace.canvas.zoom_to(2.0)
    assert "200" in status.zoom.text()


def test_opacity_has_a_slider_that_follows_the_keys(
    window: MainWindow, workspace: Workspace
) -> None:
    bar, document = window.tool_bar, workspace.document
    bar.opacity.setValue(70)
    assert document.opacity == pytest.approx(0.7)
    window.update_state()
    window.actions_table["view.opacity_down"].trigger()
    assert bar.opacity.value() == 60
    assert "60" in bar.opacity_value.text()
    document.set_view_mode(ViewMode.GREEN)
    window.update_state()
    assert not bar.opacity.isEnabled()


def test_opacity_and_outlines_are_set_in_the_preferences_and_seen_at_once(
    window: MainWindow, workspace: Workspace, preferences: Preferences
) -> None:
    workspace.annotator.hand.stroke(DAB)
    workspace.document.set_opacity(0)
    settle()

    def colored() -> int:
        """Pixels of the canvas in the object's colour."""
        image = workspace.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        color = np.array(workspace.document.objects[0].color[::-1])
        return int((np.abs(pixels_of(image)[..., :3].astype(int) - color).max(axis=2) < 8).sum())

    thin = colored()
    dialog = PreferencesDialog(preferences, window.actions_table, window)
    dialog.outline_px.setValue(3)
    settle()
    assert colored() > 2 * thin > 0
    dialog.outline_opacity.setValue(0)
    settle()
    assert colored() < thin
    dialog.opacity.setValue(80)
    assert workspace.document.opacity == pytest.approx(0.8)
    assert window.tool_bar.opacity.value() == 80
    assert (preferences.outline_px, preferences.outline_opacity) == (3, 0)
    dialog.deleteLater()


def test_every_button_of_the_tool_bar_is_in_sight_in_the_smallest_window(
    window: MainWindow, workspace: Workspace
) -> None:
    window.resize(window.minimumSize())
    settle()
    bar = window.tool_bar
    for action in bar.actions():
        assert bar.widgetForAction(action).isVisible(), action.text()


# Panels and timeline


@pytest.mark.parametrize("size", [(800, 560), (1024, 640), (1280, 800)])
def test_no_field_of_a_panel_is_ever_squashed(
    window: MainWindow, workspace: Workspace, size: tuple[int, int]
) -> None:
    window.resize(*size)
    for number in range(12):
        workspace.document.add_object(f"object {number}")
    settle()
    panel = workspace.propagation_panel
    for field in (panel.back, panel.until, panel.range, panel.only_current, panel.pages):
        assert field.height() >= field.minimumSizeHint().height()
    assert panel.range.geometry().top() > panel.until.geometry().bottom()
    tabs = workspace.tabs
    assert tabs.height() >= tabs.minimumSizeHint().height()
    column = workspace.panels
    bottom = tabs.mapTo(column.splitter, tabs.rect().bottomLeft()).y()
    assert bottom <= column.viewport().height() + column.verticalScrollBar().maximum()


def test_few_objects_leave_their_room_to_the_other_panels(
    window: MainWindow, workspace: Workspace
) -> None:
    panel, window_px = workspace.objects_panel, (1024, 640)
    window.resize(*window_px)
    settle()
    assert panel.empty.height() >= panel.empty.heightForWidth(panel.empty.width())
    heights = []
    for number in range(3):
        workspace.document.add_object(f"object {number}")
        settle()
        heights.append(panel.height())
        last = panel.view.model().index(number, 0)
        assert panel.view.visualRect(last).bottom() <= panel.view.viewport().height()
    assert heights[0] == heights[1] < heights[2]


def test_a_hidden_timeline_leaves_its_room_to_the_picture_and_gets_it_back(
    window: MainWindow, workspace: Workspace
) -> None:
    workspace.splitter.setSizes([300, 400])
    workspace.splitter.splitterMoved.emit(300, 1)
    settle()
    before = workspace.splitter.sizes()
    workspace.show_timeline(False)
    settle()
    assert workspace.lower_half.height() == workspace.transport.height()
    workspace.show_timeline(True)
    settle()
    assert workspace.splitter.sizes() == before


def test_the_panels_are_wider_in_a_wide_window_until_their_width_is_set_by_hand(
    window: MainWindow, workspace: Workspace
) -> None:
    def width_in(window_px: int) -> int:
        window.resize(window_px, 800)
        settle()
        return workspace.panels.width()

    assert width_in(1280) < width_in(2200) < width_in(2560) == width_in(4000)
    window.resize(1280, 800)
    settle()
    handle = workspace.upper_half.handle(1)
    QTest.mousePress(handle, Qt.MouseButton.LeftButton)
    QTest.mouseMove(handle, handle.rect().center() - QPoint(60, 0))
    QTest.mouseRelease(handle, Qt.MouseButton.LeftButton)
    chosen = workspace.panels.width()
    assert workspace.is_width_chosen
    assert width_in(2560) == chosen


# The first page


def test_before_anything_was_opened_the_words_stand_below_their_title(
    preferences: Preferences, actions: Actions, qtbot: QtBot
) -> None:
    page = WelcomePage(preferences, actions)
    qtbot.addWidget(page)
    page.resize(1280, 800)
    page.show()
    settle()
    recent = page.recent
    assert recent.empty.isVisible()
    assert recent.empty.y() - recent.title.geometry().bottom() < 2 * recent.title.height()


class _Marked(NullTranslations):
    """Puts every text of the program into another language: its own, in brackets."""

    def gettext(self, message: str) -> str:
        return f"[{message}]"


def test_no_word_of_a_recent_project_escapes_translation(
    preferences: Preferences, actions: Actions, qtbot: QtBot
) -> None:
    day_s = 86_400
    for age in (0, 1, 30):
        project = RecentProject(f"/p/{age}.vos", f"{age}.mp4", time.time() - age * day_s, 3, 9)
        preferences.add_recent(project)
    use_catalogue(_Marked())
    try:
        page = WelcomePage(preferences, actions)
        qtbot.addWidget(page)
        model = page.recent.view.model()
        role = Qt.ItemDataRole.AccessibleDescriptionRole
        texts = [model.index(row, 0).data(role) for row in range(3)]
    finally:
        use_catalogue(NullTranslations())
    assert texts[2] == "[3 of 9 frames], [today]"
    assert texts[1] == "[3 of 9 frames], [yesterday]"
    assert texts[0].startswith("[3 of 9 frames], ")
    assert "today" not in texts[0]
