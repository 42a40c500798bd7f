"""Undo and redo as a list: groups, what can be redone, what is forgotten."""

import random
from dataclasses import replace
from functools import partial

import pytest

from interaction.annotation.history import History
from interaction.annotation.types import (
    EMPTY_RECORD,
    Edit,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
)


def edit(frame: int, group: str | None = None, size: int = 10, label: str = "") -> Edit:
    record = FrameRecord(bytes(size), FrameStatus.TRACKED, frozenset({1}))
    return Edit(label or f"edit {frame}", {frame: EMPTY_RECORD}, {frame: record}, group=group)


def labels(history: History) -> list[str]:
    return [entry.label for entry in history.entries]


def test_undo_gives_inverses_newest_first_and_redo_the_edits_again() -> None:
    history = History()
    first, second = edit(0), edit(1)
    history.push(first)
    history.push(second)
    assert history.undo() == second.inverse()
    assert history.undo() == first.inverse()
    assert history.undo() is None
    assert history.redo() == first
    assert history.position == 1


def test_a_new_edit_drops_what_could_be_redone() -> None:
    history = History()
    for frame in range(3):
        history.push(edit(frame))
    history.undo()
    history.undo()
    history.push(edit(7))
    assert labels(history) == ["edit 0", "edit 7"]
    assert not history.can_redo


def test_edits_of_a_group_are_one_step() -> None:
    history = History()
    for frame in range(4):
        history.push(edit(frame, group="run", label="Track"))
    assert labels(history) == ["Track"]
    undone = history.undo()
    assert undone is not None
    assert undone.frames == {0, 1, 2, 3}


def test_a_group_goes_on_below_an_edit_of_another_frame_but_not_of_its_own() -> None:
    history = History()
    history.push(edit(0, group="run"))
    history.push(edit(9))
    history.push(edit(1, group="run"))
    assert [sorted(entry.frames) for entry in history.entries] == [[0, 1], [9]]
    history.push(edit(2))
    history.push(edit(2, group="run"))
    assert [sorted(entry.frames) for entry in history.entries] == [[0, 1], [9], [2], [2]]


def test_a_change_of_the_list_of_objects_brings_its_group_to_the_top() -> None:
    bear = ObjectInfo(1, "bear", (0, 0, 0))
    gone = Edit("Delete", objects_before=(bear,), objects_after=(), group="delete")
    history = History()
    history.push(edit(0, group="delete", label="Delete"))
    history.push(gone)
    assert labels(history) == ["Delete"]
    undone = history.undo()
    assert undone is not None
    assert undone.frames == {0}
    assert undone.objects_after == (bear,)

    history = History()
    history.push(edit(0, group="delete", label="Delete"))
    history.push(edit(5))
    history.push(gone)
    assert labels(history) == ["edit 5", "Delete"]
    undone = history.undo()
    assert undone is not None
    assert undone.frames == {0}
    assert undone.objects_after == (bear,)

    history.redo()
    again = Edit("Delete", objects_before=(), objects_after=(bear,), group="delete")
    history.push(edit(6))
    history.push(again)  # its group has changed the list before the newest entry
    assert labels(history) == ["edit 5", "Delete", "edit 6", "Delete"]


def test_an_edit_that_joins_its_group_keeps_what_can_be_redone_of_other_frames() -> None:
    history = History()
    history.push(edit(0, group="run", label="Track"))
    for frame in (7, 8, 9):
        history.push(edit(frame))
    for _ in range(3):
        history.undo()
    history.push(edit(1, group="run"))
    assert labels(history) == ["Track", "edit 7", "edit 8", "edit 9"]
    assert history.redo() == edit(7)
    history.undo()
    history.push(edit(8, group="run"))
    assert labels(history) == ["Track", "edit 7"]
    history.push(edit(3))
    assert labels(history) == ["Track", "edit 3"]


def test_over_the_budget_old_entries_are_left_to_the_disk_or_forgotten() -> None:
    stored = [edit(frame, size=100) for frame in range(4)]
    history = History(budget_bytes=250)
    for one in stored:
        history.push(one).load = partial(_given, one)
    assert [entry.edit is None for entry in history.entries] == [True, True, False, False]
    for one in reversed(stored):
        assert history.undo() == one.inverse()

    history = History(budget_bytes=250)
    for one in stored:
        history.push(one)
    assert labels(history) == ["edit 2", "edit 3"]
    assert history.position == 2


def test_the_newest_edit_is_kept_however_large() -> None:
    history = History(budget_bytes=10)
    history.push(edit(0, size=1000))
    assert history.can_undo


def _given(edit: Edit) -> Edit:
    return edit


def test_a_history_goes_on_where_it_was_left() -> None:
    history = History()
    for frame in range(2):
        one = edit(frame)
        history.follow(one, frame + 1).load = partial(_given, one)
    assert history.move(1) == list(history.entries[1:])
    assert (history.can_undo, history.can_redo) == (True, True)
    assert history.undo() == edit(0).inverse()
    with pytest.raises(ValueError, match="step 3"):
        history.move(3)


def test_one_history_follows_another_by_its_positions_alone() -> None:
    bear = ObjectInfo(1, "bear", (0, 0, 0))
    chance = random.Random(5)
    for _ in range(100):
        made, told = History(budget_bytes=chance.choice((0, 60, 1000))), History()
        for number in range(40):
            turn = chance.random()
            if turn < 0.3:
                edit_back = made.undo() if turn < 0.2 else made.redo()
                if edit_back is not None:
                    told.move(made.position)
                continue
            one = edit(chance.randrange(6), chance.choice((None, "a", "b")), label=str(number))
            if turn > 0.9:
                one = replace(one, objects_before=(), objects_after=(bear,))
            made.push(one).load = partial(_given, one)
            told.follow(one, made.position)
            assert told.position == made.position
            assert [(e.label, e.group, e.frames) for e in told.entries] == [
                (e.label, e.group, e.frames) for e in made.entries
            ]


def test_a_history_follows_to_no_place_it_cannot_have_got_to() -> None:
    history = History()
    history.follow(edit(0), 1)
    history.follow(edit(1, group="run"), 2)
    assert history.follow(edit(2, group="run"), 2) is history.newest
    with pytest.raises(ValueError, match="from step 2 to 7"):
        history.follow(edit(3), 7)
    with pytest.raises(ValueError, match="from step 2 to 2"):
        history.follow(edit(3, group="unknown"), 2)
    assert len(history.entries) == 2
