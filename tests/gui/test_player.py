"""Playing: at the video's own times, whatever they are, and never slower."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.timeline.player import Player
from gui.work.document import Document
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import Stroke
from interaction.session import Session
from tests.fake_engines import FakeEngines
from tests.gui.recording_annotator import open_document
from tests.unit.video_samples import write_numbered


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def document(tmp_path: Path, qtbot: QtBot) -> Iterator[Document]:
    document = open_document(tmp_path, 10)
    yield document
    document.session.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def player(document: Document, clock: Clock) -> Iterator[Player]:
    player = Player(document, clock=clock)
    yield player
    player.stop()


def frame_after(player: Player, clock: Clock, document: Document, seconds: float) -> int:
    clock.now_s += seconds
    player.show_due()
    return document.frame


def step_s(document: Document) -> float:
    times_s = document.video.timestamps_s
    return float(times_s[1] - times_s[0])


def test_the_frame_is_the_one_that_is_due(player: Player, clock: Clock, document: Document) -> None:
    player.play()
    assert player.is_playing
    assert frame_after(player, clock, document, 0.5 * step_s(document)) == 0
    assert frame_after(player, clock, document, 0.6 * step_s(document)) == 1
    assert frame_after(player, clock, document, 1.0 * step_s(document)) == 2


def test_what_comes_too_late_is_left_out(player: Player, clock: Clock, document: Document) -> None:
    seen: list[int] = []
    document.frame_changed.connect(seen.append)
    player.play()
    assert frame_after(player, clock, document, 5.2 * step_s(document)) == 5
    assert seen == [5]


def test_frames_of_different_length_are_shown_as_long_as_they_last(
    tmp_path: Path, clock: Clock, qapp: QApplication
) -> None:
    path = write_numbered(tmp_path / "uneven.mp4", 4, timestamps_ms=[0, 40, 1040, 1080])
    session = Session.open(path, engines=FakeEngines())
    document = Document(session)
    player = Player(document, clock=clock)
    try:
        player.play()
        assert frame_after(player, clock, document, 0.045) == 1
        assert frame_after(player, clock, document, 0.9) == 1  # lasts a whole second
        assert frame_after(player, clock, document, 0.1) == 2
        assert frame_after(player, clock, document, 0.04) == 3
    finally:
        player.stop()
        session.close()


def test_it_starts_again_at_the_end_and_stops_there_without_looping(
    player: Player, clock: Clock, document: Document
) -> None:
    document.set_frame(9)
    player.play()
    assert document.frame == 0  # from the end it begins anew
    document.set_frame(8)
    assert frame_after(player, clock, document, 2.5 * step_s(document)) == 0
    assert player.is_playing
    player.set_looping(False)
    stopped: list[bool] = []
    player.playing_changed.connect(stopped.append)
    assert frame_after(player, clock, document, 50 * step_s(document)) == 9
    assert stopped == [False]


def test_the_last_frame_is_seen_as_long_as_the_others(
    player: Player, clock: Clock, document: Document
) -> None:
    document.set_frame(8)
    player.play()
    assert frame_after(player, clock, document, 1.5 * step_s(document)) == 9
    assert frame_after(player, clock, document, 0.6 * step_s(document)) == 0


def test_it_stays_in_the_range(player: Player, clock: Clock, document: Document) -> None:
    document.set_range(3, 5)
    player.play()
    assert document.frame == 3
    assert frame_after(player, clock, document, 2.5 * step_s(document)) == 5
    assert frame_after(player, clock, document, 0.6 * step_s(document)) == 3


def test_the_shuttle_goes_faster_with_every_press_turns_and_stops(
    player: Player, clock: Clock, document: Document
) -> None:
    speeds: list[float] = []
    player.speed_changed.connect(speeds.append)
    for key in ("L", "L", "L", "L", "L", "J", "J", "K"):
        player.shuttle(key)
    assert speeds == [1, 2, 4, 8, -1, -2, 0]
    assert not player.is_playing


def test_it_is_held_from_the_shuttles_stop_until_something_else_is_done(
    player: Player, document: Document
) -> None:
    player.shuttle("K")
    assert not player.is_held  # nothing played
    for done in (
        player.toggle,
        lambda: player.shuttle("L"),
        lambda: document.set_frame((document.frame + 2) % 10),
        lambda: document.set_tool("brush"),
        lambda: player.stop_at(document.frame),
    ):
        player.shuttle("J")
        player.shuttle("K")
        assert player.is_held
        done()
        assert not player.is_held
        player.stop()


def test_it_stops_at_the_frame_that_was_seen(player: Player, document: Document) -> None:
    document.set_frame(5)
    player.stop_at(3)  # it does not play
    assert document.frame == 5
    player.play()
    player.stop_at(3)
    assert document.frame == 3
    assert not player.is_playing


def test_an_undo_stops_it_where_the_change_is(player: Player, document: Document) -> None:
    one = document.add_object("dog")
    document.do(StrokeRequest(4, one, Stroke(((5.0, 5.0),), 2)))
    player.play()
    document.undo()
    assert not player.is_playing
    assert document.frame == 4


def test_backwards_and_twice_as_fast(player: Player, clock: Clock, document: Document) -> None:
    document.set_frame(8)
    player.play(-2.0)
    assert frame_after(player, clock, document, 1.02 * step_s(document)) == 6
    assert frame_after(player, clock, document, 1.0 * step_s(document)) == 4


def test_scrubbing_while_it_plays_goes_on_from_there(
    player: Player, clock: Clock, document: Document
) -> None:
    player.play()
    document.set_frame(6)
    assert frame_after(player, clock, document, 1.1 * step_s(document)) == 7


def test_a_video_of_one_frame_does_not_play(tmp_path: Path, qapp: QApplication) -> None:
    document = open_document(tmp_path / "one", 1)
    try:
        player = Player(document)
        player.toggle()
        assert not player.is_playing
    finally:
        document.session.close()


def test_it_keeps_time_by_the_real_clock(document: Document, qtbot: QtBot) -> None:
    player = Player(document)
    player.set_looping(False)
    with qtbot.waitSignal(player.playing_changed, check_params_cb=lambda on: not on, timeout=5000):
        player.play(4.0)
    assert document.frame == 9
