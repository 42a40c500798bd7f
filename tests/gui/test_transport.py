"""The row under the picture: what is typed there is gone to, or refused as no place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui.panels.propagation import PropagationPanel
from gui.theme import guard_wheel
from gui.timeline.player import Player
from gui.timeline.thumbnails import Thumbnails
from gui.timeline.timeline import Timeline
from gui.timeline.transport import Transport
from gui.work.document import Document
from tests.gui.recording_annotator import RecordingAnnotator, open_document
from tests.gui.wheel import turn_wheel

FRAMES = 100


@pytest.fixture
def document(tmp_path: Path, qapp: QApplication) -> Iterator[Document]:
    document = open_document(tmp_path, FRAMES)
    yield document
    Thumbnails.of(document).close()
    document.session.close()


@pytest.fixture
def annotator(document: Document) -> RecordingAnnotator:
    return RecordingAnnotator(document)


@pytest.fixture
def transport(
    document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> Iterator[Transport]:
    whole = QWidget()
    rows = QVBoxLayout(whole)
    timeline = Timeline(document, annotator)  # type: ignore[arg-type]
    made = Transport(document, annotator, Player(document), timeline)  # type: ignore[arg-type]
    rows.addWidget(made)
    rows.addWidget(timeline)
    qtbot.addWidget(whole)
    whole.resize(1000, 200)
    whole.show()
    qtbot.waitExposed(whole)
    whole.activateWindow()
    yield made
    whole.hide()


@pytest.mark.parametrize(
    ("typed", "frame"), [("57", 57), ("999", FRAMES - 1), ("99", 99), ("100", 99), ("007", 7)]
)
def test_a_number_behind_the_last_frame_means_the_last(
    transport: Transport, document: Document, typed: str, frame: int
) -> None:
    transport.focus_frame_box()
    QTest.keyClicks(transport.frame_box, typed)
    QTest.keyClick(transport.frame_box, Qt.Key.Key_Return)
    assert document.frame == frame
    assert transport.frame_box.value() == frame
    assert transport.frame_box.text() == f"{frame} / {FRAMES - 1}"


def test_a_number_that_is_not_finished_goes_nowhere(
    transport: Transport, document: Document
) -> None:
    document.set_frame(12)
    transport.focus_frame_box()
    QTest.keyClicks(transport.frame_box, "3x")
    assert document.frame == 12
    QTest.keyClick(transport.frame_box, Qt.Key.Key_Escape)
    assert document.frame == 12
    assert transport.frame_box.value() == 12
    transport.focus_frame_box()
    QTest.keyClick(transport.frame_box, Qt.Key.Key_Backspace)
    QTest.keyClick(transport.frame_box, Qt.Key.Key_Return)
    assert document.frame == 12
    assert transport.frame_box.text() == f"12 / {FRAMES - 1}"


def type_time(transport: Transport, text: str) -> None:
    transport.time_box.setFocus()
    transport.time_box.selectAll()
    QTest.keyClicks(transport.time_box, text)
    QTest.keyClick(transport.time_box, Qt.Key.Key_Return)


def test_a_time_with_frames_is_gone_to(transport: Transport, document: Document) -> None:
    first_of_second = next(
        frame for frame in range(FRAMES) if document.video.timestamps_s[frame] >= 1 - 1e-6
    )
    type_time(transport, "00:00:01:10")
    assert document.frame == first_of_second + 10


def test_what_is_no_time_is_refused_in_words(
    transport: Transport, document: Document, annotator: RecordingAnnotator
) -> None:
    notices: list[str] = []
    annotator.document.noticed.connect(notices.append)
    document.set_frame(12)
    before = transport.time_box.text()
    type_time(transport, "noon")
    assert document.frame == 12
    assert "noon" in notices[0]
    assert transport.time_box.text() == before
    type_time(transport, "1")
    transport.time_box.setFocus()
    transport.frame_box.setFocus()  # left without a change
    assert len(notices) == 1


def test_the_wheel_changes_no_list_or_number_without_the_focus(qtbot: QtBot) -> None:
    whole = QWidget()
    qtbot.addWidget(whole)
    rows = QVBoxLayout(whole)
    combo, number = QComboBox(whole), QSpinBox(whole)
    number.setRange(-9, 9)
    combo.addItems(["one", "two", "three"])
    guard_wheel(combo, number)
    rows.addWidget(combo)
    rows.addWidget(number)
    whole.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    whole.show()
    qtbot.waitExposed(whole)
    whole.activateWindow()
    whole.setFocus()
    qtbot.waitUntil(whole.hasFocus)
    assert not turn_wheel(combo)  # it goes on to what is behind
    assert not turn_wheel(number)
    assert (combo.currentIndex(), number.value()) == (0, 0)
    for widget in (combo, number):  # nor does the wheel give them the focus
        assert widget.focusPolicy() == Qt.FocusPolicy.StrongFocus
    combo.setFocus()
    qtbot.waitUntil(combo.hasFocus)
    assert turn_wheel(combo)
    assert combo.currentIndex() == 1


def test_the_track_panel_is_not_changed_in_passing(
    document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    panel = PropagationPanel(document, annotator)  # type: ignore[arg-type]
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    panel.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    panel.setFocus()
    before = panel.until.currentIndex(), panel.range.currentIndex(), panel.count.value()
    for widget in (panel.until, panel.range, panel.count):
        turn_wheel(widget)
    assert (panel.until.currentIndex(), panel.range.currentIndex(), panel.count.value()) == before


def test_the_wheel_over_the_frame_number_goes_nowhere_before_it_is_clicked(
    transport: Transport, document: Document
) -> None:
    document.set_frame(12)
    transport.zoom.setFocus()
    turn_wheel(transport.frame_box)
    assert document.frame == 12
