"""Presence as data: ranges of an object, undone, stored, obeyed by tracking and by exports."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interaction.annotation.requests import (
    AbsenceProposal,
    ConfirmRequest,
    PresenceRequest,
    PropagationRequest,
    StrokeRequest,
)
from interaction.annotation.types import (
    Edit,
    FrameStatus,
    ObjectInfo,
    PresenceRange,
    PresenceState,
    Stroke,
    with_presence,
)
from interaction.command_line.app import main
from interaction.errors import UserError
from interaction.formats.export import FORMATS
from interaction.formats.format import ExportSource
from interaction.formats.import_plan import ImportChoices
from interaction.formats.mask_set import listed_presence
from interaction.ledger import keeping_presence
from interaction.project.causes import cause_from_json, cause_to_json
from interaction.project.manifest import FIRST_FORMAT, manifest_text, read_manifest
from interaction.project.records import DamagedValueError, objects_from_json, objects_to_json
from interaction.session import Session
from interaction.tracking.brakes import CollapseWatch
from tests import tiny
from tests.fake_engines import FakeEngines, tiny_network
from xmem_core import Tracker
from xmem_core.arrays import Labels

PRESENT, OCCLUDED = PresenceState.PRESENT, PresenceState.OCCLUDED
ABSENT, UNSEEN = PresenceState.ABSENT, PresenceState.NOT_LOOKED_AT
DAB = Stroke(((20.0, 20.0), (30.0, 20.0)), 8)


def ranges(*parts: tuple[int, int, PresenceState]) -> tuple[PresenceRange, ...]:
    return tuple(PresenceRange(*part) for part in parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.write_clip(tmp_path / "clip", 8)
    return tmp_path / "bear.vos"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip and its project: a bear and a cub, given on frame 0 and tracked to the end."""
    place = tmp_path_factory.mktemp("tracked")
    tiny.write_clip(place / "clip", 8)
    with Session.open(place / "clip", place / "bear.vos", engines=FakeEngines()) as session:
        bear, cub = session.add_object("bear"), session.add_object("cub")
        session.set_mask(0, tiny.labels(0, bear, cub))
        session.propagate(0)
    return place


@pytest.fixture
def session(tracked: Path, folder: Path) -> Iterator[Session]:
    """What is `tracked`, opened again."""
    shutil.copytree(tracked / "bear.vos", folder)
    with Session.open_project(folder, engines=FakeEngines()) as session:
        yield session


def say(session: Session, object_id: int, first: int, last: int, state: PresenceState) -> bool:
    return session.do(PresenceRequest(object_id, first, last, state))


def test_of_a_frame_that_shows_an_absent_object_the_others_keep_their_signs(
    session: Session,
) -> None:
    tracked = session.annotation.record(4)
    assert {one.object_id for one in tracked.signs} == {1, 2}
    say(session, 1, 3, 6, ABSENT)
    now = session.annotation.record(4)
    edit = Edit("Track", {4: now}, {4: tracked}, cause=PropagationRequest(0))
    kept = keeping_presence(edit, session.annotation)
    record = now if kept is None else kept.after[4]
    assert record.present == {2}
    assert {one.object_id for one in record.signs} == {2}


def test_ranges_stay_ascending_apart_and_joined() -> None:
    found = with_presence((), 2, 8, ABSENT)
    found = with_presence(found, 4, 5, OCCLUDED)
    assert found == ranges((2, 3, ABSENT), (4, 5, OCCLUDED), (6, 8, ABSENT))
    assert with_presence(found, 4, 5, ABSENT) == ranges((2, 8, ABSENT))
    assert with_presence(found, 3, 6, UNSEEN) == ranges((2, 2, ABSENT), (7, 8, ABSENT))
    assert with_presence(found, 0, 99, UNSEEN) == ()
    one = ObjectInfo(1, "bear", (1, 2, 3), presence=found)
    assert [one.state_at(i) for i in (1, 2, 3, 4, 5, 6, 8, 9)] == [
        UNSEEN,
        ABSENT,
        ABSENT,
        OCCLUDED,
        OCCLUDED,
        ABSENT,
        ABSENT,
        UNSEEN,
    ]


def test_absent_empties_the_masks_leaves_the_others_alone_and_is_undone_in_one_step(
    session: Session,
) -> None:
    before = {frame: session.masks[frame].copy() for frame in range(8)}
    statuses = [session.annotation.record(frame).status for frame in range(8)]
    assert say(session, 1, 2, 5, ABSENT)
    for frame in range(8):
        expected = np.where(before[frame] == 1, 0, before[frame])
        np.testing.assert_array_equal(
            session.masks[frame], expected if 2 <= frame <= 5 else before[frame]
        )
    assert [session.annotation.record(frame).status for frame in range(8)] == statuses
    session.undo()
    assert session.annotation.object(1).presence == ()
    for frame in range(8):
        np.testing.assert_array_equal(session.masks[frame], before[frame])


def test_tracking_never_fills_it_and_tells_the_tracker(session: Session) -> None:
    say(session, 1, 3, 6, ABSENT)
    session.propagate(0)
    for frame in range(3, 7):
        assert 1 not in session.annotation.record(frame).present
    assert 2 in session.annotation.record(4).present
    session.propagate(7, "backward")
    assert not any(1 in session.annotation.record(frame).present for frame in range(3, 7))


def test_memory_keeps_that_there_is_no_pixel() -> None:
    """What memory has of a frame without the object is what it has of an empty mask."""
    frame, labels = tiny.frame(0), tiny.labels(0, 1, 2)
    tracker = Tracker(tiny_network())
    tracker.memorize(0, frame, labels)
    tracker.begin()
    prediction = tracker.track(tiny.frame(1), (1, 2), absent=(1,), remembers=True)
    assert not (prediction.labels() == 1).any()
    assert float(prediction.probabilities()[1].max()) == 0
    assert tracker.memory_elements[1] > 0
    np.testing.assert_allclose(prediction.probabilities().sum(dim=0), 1, atol=1e-5)


def test_what_a_person_paints_there_says_that_it_is_present(session: Session) -> None:
    say(session, 1, 2, 6, ABSENT)
    session.do(StrokeRequest(4, 1, DAB))
    assert session.annotation.object(1).presence == ranges(
        (2, 3, ABSENT), (4, 4, PRESENT), (5, 6, ABSENT)
    )
    assert 1 in session.annotation.record(4).present
    session.undo()
    assert session.annotation.object(1).presence == ranges((2, 6, ABSENT))


def test_a_locked_object_and_frames_outside_are_refused(session: Session) -> None:
    with pytest.raises(IndexError):
        say(session, 1, 5, 8, ABSENT)
    session.objects.set_locked(1, True)
    with pytest.raises(UserError):
        say(session, 1, 2, 3, ABSENT)


def test_it_survives_closing_and_the_request_is_read_again(session: Session, folder: Path) -> None:
    say(session, 1, 2, 3, ABSENT)
    say(session, 2, 1, 5, OCCLUDED)
    session.close()
    with Session.open_project(folder, engines=FakeEngines()) as again:
        assert again.annotation.object(1).presence == ranges((2, 3, ABSENT))
        assert again.annotation.object(2).presence == ranges((1, 5, OCCLUDED))
        again.undo()
        assert again.annotation.object(2).presence == ()
        again.undo()
        assert 1 in again.annotation.record(2).present
    request = PresenceRequest(1, 2, 3, ABSENT)
    assert cause_from_json(cause_to_json(request, frozenset())) == (request, frozenset())


def test_an_earlier_project_that_gets_presence_is_of_a_newer_format(
    session: Session, folder: Path
) -> None:
    session.flush()
    manifest, _ = read_manifest(folder / "project.json")
    earlier = replace(manifest, format=FIRST_FORMAT)
    assert json.loads(manifest_text(earlier))["format"] == FIRST_FORMAT
    [*others, last] = earlier.objects
    with_presence = replace(last, presence=ranges((2, 3, OCCLUDED)))
    data = json.loads(manifest_text(replace(earlier, objects=(*others, with_presence))))
    assert data["format"] == 2
    assert data["objects"][-1]["presence"] == [[2, 3, "occluded"]]


@pytest.mark.parametrize(
    "presence",
    [
        "all",
        [[1, 2]],
        [[3, 1, "absent"]],
        [[-1, 2, "absent"]],
        [[1, 5, "absent"], [4, 6, "occluded"]],
        [[1, 2, "not looked at"]],
        [[1, 2, "gone"]],
        [[1.5, 2, "absent"]],
        [[True, 2, "absent"]],
    ],
)
def test_damaged_presence_is_refused(presence: object) -> None:
    [value] = objects_to_json([ObjectInfo(1, "bear", (1, 2, 3))])
    with pytest.raises(DamagedValueError):
        objects_from_json([{**value, "presence": presence}])


def test_a_mask_that_collapses_becomes_a_proposal_and_its_specks_go() -> None:
    watch = CollapseWatch()
    areas = [900, 880, 870, 5, 3, 0, 4, 700, 0, 0]
    gone = [bool(watch.note(frame, {1: area, 2: 500})) for frame, area in enumerate(areas)]
    assert gone == [False, False, False, True, True, True, True, False, True, True]
    assert watch.proposals == (AbsenceProposal(1, 3, 6),)
    assert watch.note(10, {1: 2, 2: 500}) == {1}
    assert list(watch.proposals)[1:] == [AbsenceProposal(1, 8, 10)]
    watch.begin()
    assert watch.note(11, {1: 2}) == frozenset()  # nothing is known of this way yet


def test_small_objects_and_given_masks_do_not_collapse() -> None:
    watch = CollapseWatch()
    for frame in range(6):
        assert watch.note(frame, {1: 300 if frame < 3 else 2}) == frozenset()
    watch = CollapseWatch()
    for frame in range(6):
        assert watch.note(frame, {1: 900 if frame < 3 else 2}, given={1}) == frozenset()


def test_a_run_proposes_absences_and_accepting_makes_them_data(session: Session) -> None:
    assert FrameStatus.TRACKED in {r.status for r in session.annotation.records.values()}
    proposal = AbsenceProposal(1, 5, 7)
    say(session, proposal.object_id, proposal.first, proposal.last, ABSENT)
    session.do(ConfirmRequest(6))
    assert session.annotation.object(1).state_at(6) is ABSENT


# What exports say


def export(session: Session, name: str, target: Path) -> Path:
    session.export(name, target, has_hashes=False)
    return target


def test_exports_say_it_where_their_format_can(session: Session, tmp_path: Path) -> None:
    say(session, 1, 2, 3, ABSENT)
    say(session, 2, 1, 1, OCCLUDED)
    expected = [
        {"object": 1, "name": "bear", "first": 2, "last": 3, "state": "absent"},
        {"object": 2, "name": "cub", "first": 1, "last": 1, "state": "occluded"},
    ]
    palette = export(session, "palette-png", tmp_path / "palette")
    assert json.loads((palette / "objects.json").read_text())["presence"] == expected
    coco = export(session, "coco", tmp_path / "coco")
    data = json.loads((coco / "annotations" / "instances.json").read_text())
    assert data["presence"] == expected
    occluded = [one for one in data["annotations"] if one.get("attributes")]
    assert [(one["image_id"], one["track_id"]) for one in occluded] == [(2, 2)]
    cvat = (export(session, "cvat-xml", tmp_path / "cvat") / "annotations.xml").read_text()
    assert cvat.count('occluded="1"') == 1
    label_studio = export(session, "label-studio", tmp_path / "ls") / "label-studio.json"
    tasks = json.loads(label_studio.read_text())
    texts = [one["meta"]["text"] for one in tasks[1]["annotations"][0]["result"]]
    assert ["object 2", "occluded"] in texts


# Where an export says that an object is absent; all others are a single file that cannot.
SAID_IN = {
    "binary": ("objects.json",),
    "coco": ("objects.json", "annotations/instances.json"),
    "cut-outs": ("objects.json",),
    "cvat-xml": ("objects.json",),
    "davis": ("objects.json",),
    "exr": ("objects.json",),
    "label-studio": ("objects.json",),
    "matte": ("objects.json",),
    "mots": ("objects.json",),
    "overlay-pictures": ("objects.json",),
    "palette-png": ("objects.json",),
    "png-sequence": ("objects.json",),
    "yolo": ("objects.json",),
    "youtube-vis": ("objects.json", "instances.json"),
    "youtube-vos": ("objects.json",),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_it_can(session: Session, tmp_path: Path, name: str) -> None:
    """Its pixels are empty in all; the table above says the rest, as docs/formats.md does."""
    for frame in range(8):
        session.set_mask(frame, tiny.labels(frame, 1, 2))
    say(session, 1, 2, 3, ABSENT)
    source = ExportSource.of(session.annotation, session.video)
    for frame in (2, 3):
        assert 1 not in source.labels(frame)
        assert source.records[frame].present == {2}
    place = export(session, name, tmp_path / "out")
    expected = [{"object": 1, "name": "bear", "first": 2, "last": 3, "state": "absent"}]
    lists = {
        path.relative_to(place).as_posix(): json.loads(path.read_text()).get("presence")
        for path in place.rglob("*.json")
        if isinstance(json.loads(path.read_text()), dict)
    }
    said = {path for path, listed in lists.items() if listed == expected}
    assert said == set(SAID_IN.get(name, ()))
    assert FORMATS[name].is_folder is (name in SAID_IN)
    if name == "youtube-vis":
        [bear, _] = json.loads((place / "instances.json").read_text())["annotations"]
        assert [code is None for code in bear["segmentations"]] == [f in (2, 3) for f in range(8)]


def test_a_given_frame_remembers_that_an_object_is_absent(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that answers for another object alone."""
    say(session, 1, 4, 4, ABSENT)
    session.do(StrokeRequest(4, 2, DAB))
    assert 1 not in session.annotation.record(4).given
    memorized: dict[int, set[int]] = {}
    memorize = Tracker.memorize

    def note(self: Tracker, index: int, frame: Any, labels: Labels, objects: Any = None) -> None:
        memorized[index] = set(objects)
        memorize(self, index, frame, labels, objects)

    monkeypatch.setattr(Tracker, "memorize", note)
    session.propagate(0)
    assert memorized == {0: {1, 2}, 4: {1, 2}}


READ_BACK = [name for name, one in FORMATS.items() if one.is_importable and one.is_folder]


@pytest.mark.parametrize("name", READ_BACK)
def test_what_exports_say_of_it_is_read_again(folder: Path, tmp_path: Path, name: str) -> None:
    clip = folder.parent / "clip"
    options = {"has_layers": True} if name == "png-sequence" else {}
    with Session.open(clip, engines=FakeEngines()) as session:
        bear, cub = session.add_object("bear"), session.add_object("cub")
        for frame in range(8):
            session.set_mask(frame, tiny.labels(frame, bear, cub))
        say(session, bear, 2, 3, ABSENT)
        say(session, bear, 4, 4, OCCLUDED)
        say(session, cub, 1, 1, OCCLUDED)
        say(session, cub, 5, 6, PRESENT)
        written = session.annotation.objects
        masks = [session.masks[frame].copy() for frame in range(8)]
        settings = FORMATS[name].options(**options)
        session.export(name, tmp_path / "out", has_hashes=False, options=settings)
    with Session.open(clip, engines=FakeEngines()) as session:
        session.import_masks(tmp_path / "out")
        found = {one.name: one for one in session.annotation.objects}
        assert {n: one.presence for n, one in found.items()} == {
            one.name: one.presence for one in written
        }
        for frame in (2, 3):  # a hard negative in every format
            assert found["bear"].id not in session.annotation.record(frame).present
        assert (masks[0] == bear).any()
        assert found["bear"].id in session.annotation.record(0).present
        session.undo()
        assert session.annotation.objects == ()


@pytest.mark.parametrize("name", ["coco", "cvat-xml", "label-studio", "youtube-vis"])
def test_files_alone_say_what_their_form_can_say(
    session: Session, tmp_path: Path, name: str
) -> None:
    say(session, 1, 2, 3, ABSENT)
    session.set_mask(1, tiny.labels(1, 1, 2))
    say(session, 2, 1, 1, OCCLUDED)
    place = export(session, name, tmp_path / "out")
    (place / "objects.json").unlink()
    with Session.open(session.video.path, engines=FakeEngines()) as other:
        other.import_masks(place)
        found = {one.id: one.presence for one in other.annotation.objects}
    assert found[2] == ranges((1, 1, OCCLUDED))
    has_list = name in ("coco", "youtube-vis")
    assert found[1] == (ranges((2, 3, ABSENT)) if has_list else ())


def test_an_import_leaves_what_it_must_not_touch(session: Session, tmp_path: Path) -> None:
    say(session, 1, 2, 5, ABSENT)
    place = export(session, "palette-png", tmp_path / "out")
    with Session.open(session.video.path, engines=FakeEngines()) as other:
        for name in ("bear", "cub"):
            other.add_object(name)
        other.set_mask(3, tiny.labels(3, 1, 2))  # made by hand: it stays, and so does the bear
        other.do(PresenceRequest(1, 7, 7, OCCLUDED))
        other.import_masks(place)
        assert other.annotation.object(1).presence == ranges(
            (2, 2, ABSENT), (4, 5, ABSENT), (7, 7, OCCLUDED)
        )
        assert 1 in other.annotation.record(3).present
        with pytest.raises(UserError, match="every frame of them lies outside the range"):
            other.import_masks(place, ImportChoices(first=99))
        other.objects.set_locked(1, True)
        before = other.annotation.object(1).presence
        other.import_masks(place, ImportChoices(replaces_given=True))
        assert other.annotation.object(1).presence == before


@pytest.mark.parametrize(
    "listed",
    [
        None,
        {},
        ["absent"],
        [{"object": 1}],
        [{"object": True, "first": 0, "last": 1, "state": "absent"}],
        [{"object": 300, "first": 0, "last": 1, "state": "absent"}],
        [{"object": 1, "first": 3, "last": 1, "state": "absent"}],
        [{"object": 1, "first": -1, "last": 1, "state": "absent"}],
        [{"object": 1, "first": 0, "last": 1, "state": "gone"}],
        [{"object": 1, "first": 0, "last": 1, "state": ["absent"]}],
        [{"object": 1, "first": 0.0, "last": 1, "state": "absent"}],
    ],
)
def test_a_damaged_list_says_nothing(listed: object) -> None:
    assert not any(listed_presence(listed, 8).values())


def test_a_list_of_a_longer_video_says_what_fits() -> None:
    listed = [
        {"object": 1, "name": "bear", "first": 6, "last": 2**40, "state": "absent"},
        {"object": 1, "name": "bear", "first": 7, "last": 7, "state": "present"},
        {"object": 2, "first": 2**40, "last": 2**40, "state": "absent"},
    ]
    found = listed_presence(listed, 8)
    assert found[1, "bear"] == ranges((6, 6, ABSENT), (7, 7, PRESENT))
    assert found[2, None] == ()


def test_an_absent_frame_is_no_gap_of_an_export(session: Session, tmp_path: Path) -> None:
    def gaps(target: str) -> dict[str, tuple[int, ...]]:
        report = session.export("palette-png", tmp_path / target, has_hashes=False)
        return {gap.object.name: gap.frames for gap in report.gaps}

    say(session, 1, 2, 3, ABSENT)
    assert "bear" not in gaps("one")
    say(session, 1, 3, 3, UNSEEN)
    assert gaps("two")["bear"] == (3,)


def test_the_command_says_and_prints_it(
    session: Session, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.close()

    def output(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["presence", str(folder), *map(str, words)])
        out, err = capsys.readouterr()
        return out if not ended.value.code else f"{ended.value.code} {err}"

    assert "No presence is set" in output("bear")
    text = output("bear", "--first", 2, "--last", 5, "--state", "absent", "--json")
    assert json.loads(text) == {"object": 1, "presence": [[2, 5, "absent"]]}
    assert output("bear") == "2-5  absent\n"
    assert output("bear", "--first", 2, "--last", 50, "--state", "absent").startswith("1 ")
    assert output("wolf").startswith("1 ")
