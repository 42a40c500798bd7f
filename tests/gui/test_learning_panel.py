"""The row and the page about learning in the Track panel; what waits on the canvas beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.panels.propagation import LearningRow, PropagationPanel
from gui.timeline.frame_table import FrameTable
from gui.work.document import Document
from gui.work.operations import Busy, Progress
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import FrameRecord, FrameStatus, Stroke
from interaction.session import Session
from tests.fake_engines import FakeEngines
from tests.gui.learning_samples import learn_at_once
from tests.gui.recording_annotator import (
    RecordingAnnotator,
    clear_records,
    open_document,
    record_of,
    set_records,
)
from tests.gui.windows import shown

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def document(tmp_path: Path, qapp: QApplication) -> Iterator[Document]:
    document = open_document(tmp_path, 12, ["bear"])
    yield document
    document.session.close()


@pytest.fixture
def annotator(document: Document) -> RecordingAnnotator:
    return RecordingAnnotator(document)


@pytest.fixture
def panel(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> PropagationPanel:
    panel = PropagationPanel(document, annotator)  # type: ignore[arg-type]
    qtbot.addWidget(panel)
    shown(panel, qtbot)
    return panel


@pytest.fixture
def row(panel: PropagationPanel) -> LearningRow:
    return panel.learning


def give(document: Document, *frames: int) -> None:
    set_records(document, {frame: record_of([1], FrameStatus.CONFIRMED) for frame in frames})


def test_the_button_asks_for_it_once_something_is_given(
    row: LearningRow, document: Document, annotator: RecordingAnnotator
) -> None:
    assert not row.button.isEnabled()
    set_records(document, {3: record_of([1], FrameStatus.TRACKED)})
    assert not row.button.isEnabled()
    give(document, 0)
    QTest.mouseClick(row.button, LEFT)
    assert annotator.asked == [("learn",)]
    for busy in Busy:
        annotator.set_busy(busy)
        assert row.button.isEnabled() == (busy in (Busy.IDLE, Busy.CLICKING, Busy.EXPORTING))


def test_it_says_what_there_is_to_learn_from_and_what_was_learned(
    row: LearningRow, document: Document, annotator: RecordingAnnotator
) -> None:
    session = document.session
    model = session.engines.settings.tracker_model
    assert row.state.text() == "Not learned yet"
    give(document, 0)
    assert row.state.text() == "1 frame to learn from"
    give(document, 4, 8)
    assert row.state.text() == "3 frames to learn from"
    learn_at_once(session.engines, "tracker", 3, of=model)
    annotator.learning.changed.emit()
    assert row.state.text() == "Learned from 3 frames"
    give(document, 9)
    assert row.state.text() == "Learned from 3 of 4"
    clear_records(document, (0, 4, 8, 9))
    assert row.state.text() == "Learned from 3 frames"
    learn_at_once(session.engines, "tracker", 1, of="another model")
    annotator.learning.changed.emit()
    assert row.state.text() == "Learned for other models"
    session.engines.models.forget()
    annotator.learning.changed.emit()
    assert row.state.text() == "Not learned yet"


def test_a_long_text_does_not_make_the_panel_wider(
    panel: PropagationPanel, row: LearningRow
) -> None:
    before = panel.minimumSizeHint().width()
    row.state.setText("Learned from very many frames, more than anybody will ever give")
    assert panel.minimumSizeHint().width() == before


def test_nothing_moves_in_the_panel_when_learning_begins(
    panel: PropagationPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    give(document, 0)
    QApplication.processEvents()
    before = panel.sizeHint().height(), panel.until.y()
    annotator.learning.is_running = True
    annotator.set_busy(Busy.LEARNING)
    QApplication.processEvents()
    assert (panel.sizeHint().height(), panel.until.y()) == before


def test_a_project_that_can_only_be_read_offers_no_learning(tmp_path: Path, qtbot: QtBot) -> None:
    open_document(tmp_path, 4).session.close()  # for the clip
    with Session.open(tmp_path / "clip", tmp_path / "p.vos", engines=FakeEngines()) as session:
        session.do(StrokeRequest(0, session.add_object("bear"), Stroke(((20.0, 20.0),), 6)))
    with Session.open_project(tmp_path / "p.vos", engines=FakeEngines(), read_only=True) as session:
        document = Document(session)
        row = LearningRow(document, RecordingAnnotator(document))  # type: ignore[arg-type]
        qtbot.addWidget(row)
        assert FrameTable.of(document).frames_to_learn_from == 1
        assert not row.button.isEnabled()


def test_learning_shows_how_it_gets_on_and_can_be_paused_and_cancelled(
    panel: PropagationPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    give(document, 0)
    run = panel.run
    annotator.learning.is_running = True
    annotator.set_busy(Busy.LEARNING)
    annotator.operations.progressed.emit(Progress("Learning", 0, 0))
    assert run.bar.maximum() == 0
    assert "ready" in run.figures.text()
    annotator.operations.progressed.emit(Progress("Learning", 30, 120, seconds_left=71.0))
    assert run.bar.text() == "Learning 25%"
    assert run.figures.text() == "1:11"
    assert "30 of 120 steps" in run.figures.toolTip()
    assert "learning" in run.bar.accessibleName()
    assert "tracker" in run.cancel.toolTip()
    assert not any(button.isEnabled() for button in (panel.back, panel.both, panel.forward))
    QTest.mouseClick(run.pause, LEFT)
    annotator.set_busy(Busy.PAUSED)
    assert run.figures.text() == "Paused"
    QTest.mouseClick(run.pause, LEFT)
    QTest.mouseClick(run.cancel, LEFT)
    assert annotator.asked == [("pause",), ("resume",), ("cancel",)]
    annotator.learning.is_running = False
    annotator.set_busy(Busy.IDLE)
    assert panel.learning.isVisible()
    annotator.set_busy(Busy.PROPAGATING)
    annotator.operations.progressed.emit(Progress("Tracking", 1, 2))
    assert run.bar.text() == "Tracking 50%"
    assert "tracking" in run.bar.accessibleName()


def test_only_frames_that_show_what_they_answer_for_teach(document: Document) -> None:
    table = FrameTable.of(document)
    other = document.add_object("cub")
    tracked = record_of([1], FrameStatus.CORRECTED)
    answers_for_cub = FrameRecord(
        tracked.mask, tracked.status, tracked.present, given=frozenset({other})
    )
    give(document, 0, 2)
    set_records(document, {3: answers_for_cub, 5: record_of([1], FrameStatus.TRACKED), 7: tracked})
    assert table.frames_to_learn_from == 3
