"""Memory's frames: seen in groups with what each gives, pinned, taken out, let in again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from gui.panels.memory import MemoryPanel
from gui.panels.memory_frames import FrameGroup
from gui.timeline.timeline import describe_frame
from gui.window.workspace import Workspace
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.requests import MemoryRequest, Remembered
from interaction.annotation.types import FrameStatus, MemoryRule
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.gui.recording_annotator import (
    RecordingAnnotator,
    open_document,
    record_of,
    set_records,
)
from xmem_core.config import RememberedFrame

LEFT, NO_KEY = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
PINNED, EXCLUDED, FREE = MemoryRule.PINNED, MemoryRule.EXCLUDED, MemoryRule.FREE
COUNT = 14


@pytest.fixture
def document(tmp_path: Path) -> Iterator[Document]:
    document = open_document(tmp_path, frames=COUNT, objects=["bear"])
    yield document
    document.session.close()


@pytest.fixture
def annotator(document: Document) -> RecordingAnnotator:
    return RecordingAnnotator(document)


@pytest.fixture
def memory(
    document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> Iterator[MemoryPanel]:
    panel = MemoryPanel(document, annotator)  # type: ignore[arg-type]
    panel.resize(284, 600)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    yield panel
    panel.shutdown()


def frames_of(group: FrameGroup) -> list[int]:
    return [one.frame for one in group.frames.rows]


def remembered(*rows: tuple[int, str, float]) -> Remembered:
    return Remembered(
        tuple(RememberedFrame(f, part, 20, share, share / 2) for f, part, share in rows)  # type: ignore[arg-type]
    )


REMEMBERED = remembered(
    (2, "permanent", 0.5), (9, "working", 0.3), (10, "working", 0.1), (4, "long_term", 0.1)
)


def test_empty_it_says_what_will_be_there(memory: MemoryPanel) -> None:
    texts = [group.title.text() for group in memory.groups.values() if group.isVisible()]
    assert ["confirm or pin" in texts[0], "filled while" in texts[1]] == [True, True]
    assert not any(group.view.isVisible() for group in memory.groups.values())
    assert not memory.remove.isEnabled()
    assert not memory.pin.isEnabled()


def test_three_groups_show_their_frames_and_what_each_gives(
    memory: MemoryPanel, document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    set_records(document, {2: record_of([1], FrameStatus.CONFIRMED)})
    annotator.tracking.remembered.emit(REMEMBERED)
    groups = memory.groups
    qtbot.waitUntil(lambda: frames_of(groups["working"]) == [9, 10])
    assert frames_of(groups["permanent"]) == [2]
    assert frames_of(groups["long_term"]) == [4]
    assert "2 frames, 40 %" in groups["working"].title.text()
    one = groups["working"].frames
    tip = one.data(one.index(0), Qt.ItemDataRole.ToolTipRole)
    assert "Frame 9, tracked" in str(tip)
    assert "30.0 %" in str(tip)
    assert "20 elements" in str(tip)
    assert not groups["excluded"].isVisible()


def test_a_hidden_panel_asks_for_nothing_and_shows_all_when_it_is_seen(
    memory: MemoryPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    assert annotator.tracking.reports_memory
    memory.hide()
    assert not annotator.tracking.reports_memory
    annotator.tracking.remembered.emit(REMEMBERED)
    assert frames_of(memory.groups["working"]) == []
    memory.show()
    assert frames_of(memory.groups["working"]) == [9, 10]


def test_a_model_that_does_not_report_its_memory_is_named(
    memory: MemoryPanel, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    assert not memory.unknown.isVisible()
    annotator.tracking.remembered.emit(Remembered((), is_known=False))
    qtbot.waitUntil(memory.unknown.isVisible)


def test_a_click_goes_there_and_the_current_frame_is_selected(
    memory: MemoryPanel, document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    given = record_of([1], FrameStatus.CONFIRMED)
    set_records(document, {7: given, 2: given, 3: record_of([1], FrameStatus.TRACKED)})
    permanent = memory.groups["permanent"]
    qtbot.waitUntil(lambda: frames_of(permanent) == [2, 7])
    at = permanent.view.visualRect(permanent.frames.index(1)).center()
    QTest.mouseClick(permanent.view.viewport(), LEFT, NO_KEY, at)
    assert document.frame == 7
    annotator.tracking.remembered.emit(REMEMBERED)
    working = memory.groups["working"]
    qtbot.waitUntil(lambda: frames_of(working) == [9, 10])
    document.set_frame(9)
    assert memory.selected is working.frames.rows[0]
    assert permanent.selected is None
    document.set_frame(2)
    assert memory.selected is permanent.frames.rows[0]


def test_keys_and_buttons_pin_and_take_out(
    memory: MemoryPanel, document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    set_records(document, {2: record_of([1], FrameStatus.CONFIRMED)})
    annotator.tracking.remembered.emit(REMEMBERED)
    qtbot.waitUntil(lambda: frames_of(memory.groups["working"]) == [9, 10])
    document.set_frame(9)
    view = memory.groups["working"].view
    QTest.keyClick(view, Qt.Key.Key_P)
    QTest.keyClick(view, Qt.Key.Key_Delete)
    document.set_frame(2)
    QTest.mouseClick(memory.pin, LEFT)
    QTest.mouseClick(memory.remove, LEFT)
    assert annotator.asked == [
        ("tell_memory", 9, 9, PINNED),
        ("tell_memory", 9, 9, EXCLUDED),
        ("tell_memory", 2, 2, PINNED),
        ("tell_memory", 2, 2, EXCLUDED),
    ]


def test_what_is_kept_out_is_a_group_of_its_own_and_let_in_again(
    memory: MemoryPanel, document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    set_records(document, {5: record_of([1], FrameStatus.CONFIRMED)})
    document.do(MemoryRequest(4, 6, EXCLUDED))
    excluded = memory.groups["excluded"]
    qtbot.waitUntil(excluded.isVisible)
    assert frames_of(memory.groups["permanent"]) == []
    [one] = excluded.frames.rows
    assert (one.frame, one.last) == (4, 6)
    assert "3 frames" in excluded.title.text()
    document.set_frame(5)
    assert memory.selected is one
    assert not memory.pin.isEnabled()
    QTest.keyClick(excluded.view, Qt.Key.Key_Delete)
    assert annotator.asked == [("tell_memory", 4, 6, FREE)]
    document.undo()
    qtbot.waitUntil(lambda: not excluded.isVisible())
    assert frames_of(memory.groups["permanent"]) == [5]


def test_the_menu_offers_the_same_and_the_range(
    memory: MemoryPanel,
    document: Document,
    annotator: RecordingAnnotator,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(QMenu, "popup", lambda menu, place: None)
    annotator.tracking.remembered.emit(REMEMBERED)
    working = memory.groups["working"]
    qtbot.waitUntil(lambda: frames_of(working) == [9, 10])
    document.set_range(3, 8)
    place = working.view.visualRect(working.frames.index(0)).center()
    working.view.customContextMenuRequested.emit(place)
    menu = working.findChild(QMenu)
    assert menu is not None
    texts = [action.text().partition("\t")[0] for action in menu.actions() if action.text()]
    assert texts == [
        "Go to frame 9",
        "Pin to memory",
        "Take out of memory",
        "Keep frames 3 to 8 out of memory",
    ]
    menu.actions()[-1].trigger()
    assert annotator.asked == [("tell_memory", 3, 8, EXCLUDED)]
    menu.close()


def test_a_frame_s_words_say_it(document: Document) -> None:
    set_records(document, {2: record_of([1], FrameStatus.TRACKED)})
    document.do(MemoryRequest(2, 2, PINNED))
    document.do(MemoryRequest(4, 5, EXCLUDED))
    assert "Pinned to memory" in describe_frame(document, 2)
    assert "Kept out of memory" in describe_frame(document, 5)
    assert "emory" not in describe_frame(document, 6)


# The whole


@pytest.fixture
def workspace(tmp_path: Path, qtbot: QtBot) -> Iterator[Workspace]:
    workspace = opened(tmp_path, qtbot)
    yield workspace
    workspace.shutdown()


def opened(tmp_path: Path, qtbot: QtBot) -> Workspace:
    if not (tmp_path / "clip").exists():
        tiny.write_clip(tmp_path / "clip", COUNT)
    session = Session.open(tmp_path / "clip", tmp_path / "bear.vos", engines=FakeEngines())
    if not session.annotation.objects:
        bear = session.add_object("bear")
        session.set_mask(0, tiny.labels(0, bear, 0))
    workspace = Workspace(session)
    workspace.resize(1280, 800)
    qtbot.addWidget(workspace)
    workspace.show()
    workspace.tabs.setCurrentWidget(workspace.memory_panel)
    return workspace


def test_a_run_tells_and_obeys_the_panel(workspace: Workspace, qtbot: QtBot) -> None:
    annotator, panel = workspace.annotator, workspace.memory_panel
    annotator.tracking.start("forward")
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE, timeout=30_000)
    qtbot.waitUntil(lambda: bool(panel.groups["working"].frames.rows))
    assert frames_of(panel.groups["permanent"]) == [0]
    held = panel.groups["working"].frames.rows[-1].frame
    workspace.document.set_frame(held)
    QTest.keyClick(panel.groups["working"].view, Qt.Key.Key_Delete)
    assert workspace.document.annotation.memory.is_excluded(held)
    annotator.undo()
    assert not workspace.document.annotation.memory
    before = workspace.timeline.grab().toImage()
    workspace.document.do(MemoryRequest(3, 6, EXCLUDED))
    workspace.document.do(MemoryRequest(8, 8, PINNED))
    assert workspace.timeline.grab().toImage() != before


def test_an_interrupted_run_is_offered_after_opening_and_goes_on(
    tmp_path: Path, qtbot: QtBot
) -> None:
    first = opened(tmp_path, qtbot)
    first.annotator.tracking.start("forward")
    tracked: list[int] = []
    first.annotator.tracking.tracked.connect(tracked.append)
    qtbot.waitUntil(lambda: len(tracked) > 5, timeout=30_000)
    first.shutdown()
    assert (tmp_path / "bear.vos" / "unfinished.safetensors").exists()
    second = opened(tmp_path, qtbot)
    offers: list[tuple[str, str]] = []
    second.document.offered.connect(lambda text, button, _: offers.append((text, button)))
    second.annotator.tracking.offer_resumption()
    qtbot.waitUntil(lambda: bool(offers), timeout=30_000)
    assert "interrupted at frame" in offers[0][0]
    assert frames_of(second.memory_panel.groups["permanent"]) == [0]
    second.annotator.tracking.resume()
    qtbot.waitUntil(lambda: len(second.document.annotation.records) == COUNT, timeout=30_000)
    qtbot.waitUntil(lambda: second.annotator.operations.busy is Busy.IDLE, timeout=30_000)
    second.shutdown()
    whole = Session.open(tmp_path / "clip", engines=FakeEngines())
    bear = whole.add_object("bear")
    whole.set_mask(0, tiny.labels(0, bear, 0))
    whole.propagate(0)
    with Session.open_project(tmp_path / "bear.vos", engines=FakeEngines()) as again:
        for frame in range(COUNT):
            assert again.annotation.record(frame).mask == whole.annotation.record(frame).mask
    whole.close()
    assert not (tmp_path / "bear.vos" / "unfinished.safetensors").exists()
