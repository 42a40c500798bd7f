"""The networks' probabilities beside the masks: kept on request, and never against the mask."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.annotation import make_record
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.mattes import click_matte, kept_probabilities, make_matte
from interaction.annotation.requests import (
    ConfirmRequest,
    PresenceRequest,
    StrokeRequest,
    SwapRequest,
)
from interaction.annotation.types import (
    FrameRecord,
    FrameStatus,
    Matte,
    PresenceState,
    Stroke,
)
from interaction.command_line.app import main
from interaction.formats.export import FORMATS
from interaction.formats.looks import refined_edge
from interaction.project.project import copy_project
from interaction.session import Session
from tests import tiny
from tests.fake_engines import DiscSegmenter, FakeEngines, project_of
from xmem_core.arrays import Labels, Window

SIZE = 90, 120  # height, width
WHOLE = Window(0, 0, 120, 90)


def soft_disc(
    x: float, y: float, radius: float, size: tuple[int, int] = SIZE
) -> NDArray[np.float32]:
    """(H, W) a disc whose edge rises over four pixels."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    away = radius - np.hypot(columns - x, rows - y)
    return np.clip(0.5 + away / 4, 0, 1).astype(np.float32)


def recorded(probability: NDArray[np.float32]) -> tuple[FrameRecord, Labels]:
    """A tracked frame with one object and its probability, and its labels."""
    labels = (probability > 0.5).astype(np.uint8)
    matte = make_matte(1, probability, labels == 1, encode_labels(labels), WHOLE)
    assert matte is not None
    return make_record(labels, FrameStatus.TRACKED, mattes=(matte,)), labels


# The store's form


def test_what_comes_back_is_the_probability_in_8_bits() -> None:
    probability = soft_disc(60, 45, 25)
    record, labels = recorded(probability)
    kept = kept_probabilities(record, 1, labels == 1)
    assert kept is not None
    is_soft = (probability > 0.01) & (probability < 0.99)
    assert kept.is_known[is_soft].all()
    assert np.abs(kept.alpha - probability).max() <= 0.6 / 255
    assert np.array_equal(kept.alpha >= 0.5, labels == 1)
    assert not kept.is_known[45, 60]  # inside and outside it says no more than the mask
    assert not kept.is_known[5, 5]


def test_it_is_kept_at_the_networks_size_and_read_as_the_tracker_reads_it() -> None:
    small = soft_disc(30, 22.5, 12, (45, 60))
    full = cv2.resize(small, (120, 90), interpolation=cv2.INTER_LINEAR)
    labels = (full > 0.5).astype(np.uint8)
    matte = make_matte(1, small, small > 0.5, encode_labels(labels), WHOLE)
    assert matte is not None
    record = make_record(labels, FrameStatus.TRACKED, mattes=(matte,))
    kept = kept_probabilities(record, 1, labels == 1)
    assert kept is not None
    assert np.abs(kept.alpha - full).max() < 1.5 / 255


def test_what_was_seen_enlarged_is_kept_no_larger_than_the_picture() -> None:
    large = soft_disc(120, 90, 50, (180, 240))
    labels = (soft_disc(60, 45, 25) > 0.5).astype(np.uint8)
    matte = make_matte(1, large, large > 0.5, encode_labels(labels), WHOLE)
    normal = recorded(soft_disc(60, 45, 25))[0].mattes[0]
    assert matte is not None
    assert len(matte.packed) < 1.3 * len(normal.packed)


def test_far_from_the_outline_nothing_is_kept() -> None:
    probability = soft_disc(60, 45, 25)
    probability[40:50, 55:65] = 0.7  # unsure in the middle, and of something else
    probability[3:9, 3:9] = 0.4
    record, labels = recorded(probability)
    kept = kept_probabilities(record, 1, labels == 1)
    assert kept is not None
    assert kept.alpha[45, 60] == 1
    assert kept.alpha[5, 5] == 0


def test_an_answer_to_clicks_is_kept_where_the_object_is() -> None:
    probability = np.zeros((900, 1600), np.float32)
    probability[100:190, 1000:1120] = soft_disc(60, 45, 25)
    labels = (probability > 0.5).astype(np.uint8)
    matte = click_matte(1, probability, labels == 1, encode_labels(labels))
    assert matte is not None
    record = make_record(labels, FrameStatus.CORRECTED, mattes=(matte,))
    kept = kept_probabilities(record, 1, labels == 1)
    assert kept is not None
    assert np.abs(kept.alpha - probability).max() <= 0.6 / 255
    assert click_matte(1, probability, np.zeros_like(labels, bool), b"") is None


# The mask has the last word


def test_where_the_mask_was_changed_by_hand_it_no_longer_counts() -> None:
    record, labels = recorded(soft_disc(60, 45, 25))
    changed = labels.copy()
    changed[:, :50] = 0  # erased
    changed[40:50, 84:88] = 1  # painted, over the soft edge
    kept = kept_probabilities(
        make_record(changed, FrameStatus.CORRECTED, mattes=record.mattes), 1, changed == 1
    )
    assert kept is not None
    assert not kept.is_known[:, :50].any()  # its halo is gone with it
    assert not kept.is_known[changed != labels].any()
    assert np.array_equal(kept.alpha[kept.is_known] >= 0.5, changed[kept.is_known] == 1)
    assert kept.is_known[20, 60]  # the rest of the outline stays soft
    assert 0 < kept.alpha[20, 60] < 1


def test_where_the_mask_is_not_the_networks_answer_it_does_not_count() -> None:
    """As beside a locked object, whose pixels the tracker wanted."""
    probability = soft_disc(60, 45, 25)
    labels = (probability > 0.5).astype(np.uint8)
    labels[:, 70:] = np.where(labels[:, 70:], 2, 0)
    matte = make_matte(1, probability, probability > 0.5, encode_labels(labels), WHOLE)
    assert matte is not None
    kept = kept_probabilities(
        make_record(labels, FrameStatus.TRACKED, mattes=(matte,)), 1, labels == 1
    )
    assert kept is not None
    assert not kept.is_known[20:70, 70:].any()
    assert (kept.alpha[labels != 1] < 0.5).all()
    assert kept.is_known[45, 35]


def test_the_likeliest_of_several_is_at_least_half_opaque() -> None:
    probability = np.full(SIZE, 0.42, np.float32)
    labels = np.zeros(SIZE, np.uint8)
    labels[40:42, 40:80] = 1  # with 0.42 the likeliest of three
    matte = make_matte(1, probability, labels == 1, encode_labels(labels), WHOLE)
    assert matte is not None
    kept = kept_probabilities(
        make_record(labels, FrameStatus.TRACKED, mattes=(matte,)), 1, labels == 1
    )
    assert kept is not None
    assert (kept.alpha[labels == 1] >= 0.5).all()
    assert (kept.alpha[labels != 1] < 0.5).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: b"",
        lambda packed: packed[:20],
        lambda packed: packed[:60],
        lambda packed: packed[:-30] + bytes(30),
        lambda packed: b"\x09" + packed[1:],
        lambda packed: packed[:9] + b"\xff\xff\xff\xff" + packed[13:],  # its part of the frame
        lambda packed: packed[:17] + b"\xff\xff\xff\x7f" + packed[21:],  # the grid
        lambda packed: packed[:33] + b"\x89PNG\r\n\x1a\n" + packed[41:49] + b"\xff" * 8,
    ],
)
def test_damaged_ones_are_as_if_there_were_none(damage: "object") -> None:
    record, labels = recorded(soft_disc(60, 45, 25))
    [matte] = record.mattes
    damaged = replace(matte, packed=damage(matte.packed))  # type: ignore[operator]
    assert kept_probabilities(replace(record, mattes=(damaged,)), 1, labels == 1) is None
    unmade = replace(matte, mask=b"no picture")
    assert kept_probabilities(replace(record, mattes=(unmade,)), 1, labels == 1) is None


# A session


class SoftSegmenter(DiscSegmenter):
    """Discs with soft edges."""

    def segment(self, frame, start, object_id, clicks, **others):  # type: ignore[no-untyped-def]
        result = super().segment(frame, start, object_id, clicks, **others)
        rows, columns = start.shape
        sure = np.zeros(start.shape, np.float32)
        for one in clicks:
            sure = np.maximum(sure, soft_disc(one.x, one.y, 8, (rows, columns)))
        return replace(result, probability=sure)


class SoftEngines(FakeEngines):
    def __init__(self) -> None:
        super().__init__()
        self.discs = SoftSegmenter()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tiny.write_clip(tmp_path / "clip", 8)
    return tmp_path


@pytest.fixture
def session(place: Path) -> Iterator[Session]:
    with Session.open(place / "clip", place / "bear.vos", engines=SoftEngines()) as opened:
        opened.masks.keeps_probabilities = True
        yield opened


def ids(session: Session, frame: int) -> list[int]:
    return [one.object_id for one in session.annotation.record(frame).mattes]


def tracked(session: Session) -> tuple[int, int]:
    first, second = session.add_object("disc"), session.add_object("box")
    session.set_mask(0, tiny.labels(0, first, second))
    session.propagate(0)
    return first, second


def test_off_by_default_nothing_is_kept(place: Path) -> None:
    with Session.open(place / "clip", engines=SoftEngines()) as session:
        tracked(session)
        session.click(5, 1, 20, 20)
        assert not any(record.mattes for record in session.annotation.records.values())
        assert session.masks.opacity(3, 1) is None


def test_tracked_frames_keep_each_objects_probability(session: Session) -> None:
    tracked(session)
    shown = {f: sorted(r.present) for f, r in session.annotation.records.items() if f}
    assert len(shown) == 7
    assert any(shown.values())
    assert {frame: ids(session, frame) for frame in shown} == shown
    assert not ids(session, 0)  # made by hand
    for frame, objects in shown.items():
        for one in objects:
            opacity = session.masks.opacity(frame, one)
            assert opacity is not None
            assert np.array_equal(opacity.alpha >= 0.5, session.masks[frame] == one)


def test_two_passes_keep_what_both_make(session: Session) -> None:
    first, second = session.add_object("disc"), session.add_object("box")
    session.set_mask(0, tiny.labels(0, first, second))
    session.set_mask(7, tiny.labels(7, first, second))
    session.propagate(0)
    for frame in range(1, 7):
        record = session.annotation.record(frame)
        assert set(ids(session, frame)) == record.present
        for one in record.present:
            opacity = session.masks.opacity(frame, one)
            assert opacity is not None
            assert np.array_equal(opacity.alpha >= 0.5, session.masks[frame] == one)


def test_tracking_again_keeps_them_also_where_the_masks_stay(place: Path) -> None:
    with Session.open(place / "clip", engines=SoftEngines()) as session:
        tracked(session)
        masks = {f: r.mask for f, r in session.annotation.records.items()}
        session.masks.keeps_probabilities = True
        session.propagate(0)
        assert {f: r.mask for f, r in session.annotation.records.items()} == masks
        kept = [frame for frame in range(8) if ids(session, frame)]
        assert kept
        steps = len(session.history.entries)
        session.propagate(0)  # again: there is nothing new
        assert len(session.history.entries) == steps
        session.undo()
        assert not any(ids(session, frame) for frame in range(8))


def test_clicks_keep_theirs_and_an_earlier_one_where_they_change_nothing(session: Session) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    opacity = session.masks.opacity(0, bear)
    assert opacity is not None
    soft = opacity.is_known & (opacity.alpha > 0.1) & (opacity.alpha < 0.9)
    assert soft.sum() > 20
    before = opacity.alpha
    session.do(ConfirmRequest(0))  # the next click begins anew
    session.click(0, bear, 50, 30)
    opacity = session.masks.opacity(0, bear)
    assert opacity is not None
    assert np.array_equal(opacity.alpha >= 0.5, session.masks[0] == bear)
    assert ids(session, 0) == [bear]
    assert before.shape == opacity.alpha.shape


def test_an_edit_by_hand_voids_it_there_and_undo_brings_it_back(session: Session) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    before = session.masks.opacity(0, bear)
    session.do(StrokeRequest(0, bear, Stroke(((20.0, 10.0), (20.0, 30.0)), 3, is_positive=False)))
    after = session.masks.opacity(0, bear)
    assert before is not None
    assert after is not None
    assert not after.is_known[5:35, 18:23].any()
    assert (after.is_known & before.is_known).any()
    session.undo()
    again = session.masks.opacity(0, bear)
    assert again is not None
    assert np.array_equal(again.alpha, before.alpha)
    assert np.array_equal(again.is_known, before.is_known)
    session.redo()
    redone = session.masks.opacity(0, bear)
    assert redone is not None
    assert np.array_equal(redone.is_known, after.is_known)


def test_absent_and_swapped_objects_never_show_each_others(session: Session) -> None:
    first, second = tracked(session)
    frame = next(f for f in range(1, 8) if session.annotation.record(f).present)
    session.do(SwapRequest(first, second))
    for one in session.annotation.record(frame).present:
        opacity = session.masks.opacity(frame, one)
        labels = session.masks[frame]
        if opacity is not None:
            known = opacity.is_known
            assert np.array_equal(opacity.alpha[known] >= 0.5, labels[known] == one)
    one = next(iter(session.annotation.record(frame).present))
    session.do(PresenceRequest(one, frame, frame, PresenceState.ABSENT))
    assert one not in ids(session, frame)
    assert session.masks.opacity(frame, one) is None


# On the disk


def opacities(session: Session) -> dict[tuple[int, int], NDArray[np.float32]]:
    found = {}
    for frame, record in session.annotation.records.items():
        for matte in record.mattes:
            opacity = session.masks.opacity(frame, matte.object_id)
            assert opacity is not None
            found[frame, matte.object_id] = np.where(opacity.is_known, opacity.alpha, -1)
    return found


def same(
    one: dict[tuple[int, int], NDArray[np.float32]],
    other: dict[tuple[int, int], NDArray[np.float32]],
) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def painted(session: Session) -> None:
    """Tracked, and one frame changed by hand since."""
    first, _ = tracked(session)
    frame = next(f for f in range(1, 8) if first in session.annotation.record(f).present)
    session.do(StrokeRequest(frame, first, Stroke(((20.0, 20.0),), 5)))


def test_they_survive_closing_undo_included(session: Session, place: Path) -> None:
    painted(session)
    kept = opacities(session)
    assert kept
    session.close()
    with Session.open_project(place / "bear.vos", engines=SoftEngines()) as opened:
        assert opened.masks.keeps_probabilities
        assert same(opacities(opened), kept)
        opened.undo()
        before = opacities(opened)
        opened.redo()
        assert same(opacities(opened), kept)
        assert not same(before, kept)


def test_versions_and_copies_have_them(session: Session, place: Path) -> None:
    painted(session)
    kept, project = opacities(session), project_of(session)
    version = project.save_version("good")
    while session.undo() is not None:
        pass
    assert not opacities(session)
    for edit in project.view.restoring(version, session.annotation):
        session.apply(edit)
    assert same(opacities(session), kept)
    copy_project(project, session.annotation, place / "copy.vos")
    with Session.open_project(place / "copy.vos", engines=SoftEngines()) as opened:
        assert opened.masks.keeps_probabilities
        assert same(opacities(opened), kept)


@pytest.mark.parametrize("damage", ["missing", "empty", "noise", "cut"])
def test_a_damaged_store_is_no_damage_of_the_project(
    session: Session, place: Path, damage: str
) -> None:
    painted(session)
    records = dict(session.annotation.records)
    session.close()
    store = place / "bear.vos" / "history" / "mattes.bin"
    data = store.read_bytes()
    if damage == "missing":
        store.unlink()
    else:
        store.write_bytes({"empty": b"", "noise": bytes(len(data)), "cut": data[:400]}[damage])
    with Session.open_project(place / "bear.vos", engines=SoftEngines()) as opened:
        assert not project_of(opened).damages
        assert not opened.ledger.is_read_only
        assert dict(opened.annotation.records) == records
        assert len(opacities(opened)) < 8
        while opened.undo() is not None:
            pass
        while opened.redo() is not None:
            pass
        opened.click(7, 1, 30, 30)
        assert (7, 1) in opacities(opened)
        opened.flush()
        kept = opacities(opened)
    with Session.open_project(place / "bear.vos", engines=SoftEngines()) as opened:
        assert same(opacities(opened), kept)


def test_a_store_that_is_taken_away_while_it_is_open_stops_no_saving(
    session: Session, place: Path
) -> None:
    painted(session)
    session.flush()
    (place / "bear.vos" / "history" / "mattes.bin").unlink()
    session.click(7, 1, 30, 30)
    session.click(6, 1, 30, 30)
    session.flush()
    session.undo()
    session.undo()
    session.redo()
    session.click(6, 1, 34, 30)
    masks = {frame: record.mask for frame, record in session.annotation.records.items()}
    session.close()
    with Session.open_project(place / "bear.vos", engines=SoftEngines()) as opened:
        assert not project_of(opened).damages
        assert {f: r.mask for f, r in opened.annotation.records.items()} == masks
        assert 1 in ids(opened, 6)


def test_without_them_a_project_is_what_it_was_before(session: Session, place: Path) -> None:
    session.masks.keeps_probabilities = False
    tracked(session)
    session.close()
    assert "keeps_probabilities" not in (place / "bear.vos" / "project.json").read_text()
    assert "mattes" not in (place / "bear.vos" / "journal.jsonl").read_text()
    assert not (place / "bear.vos" / "history" / "mattes.bin").exists()


# Exports


def exported(session: Session, target: Path, **options: object) -> dict[str, NDArray[np.uint8]]:
    kind = FORMATS["matte"]
    session.export("matte", target, options=kind.options(**options))
    found = {}
    for path in sorted(target.rglob("*.png")):
        with Image.open(path) as opened:
            found[path.stem] = np.asarray(opened)
    return found


def test_soft_exports_use_them_by_default(session: Session, place: Path) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    session.set_mask(1, session.masks[0])  # by hand: nothing was kept
    by_default = exported(session, place / "out", edge_px=3.0)
    found = exported(session, place / "network", edge_px=3.0, edge_from="network")
    by_distance = exported(session, place / "distance", edge_px=3.0, edge_from="distance")
    hard = exported(session, place / "hard", edge_px=0.0)
    name, other = (session.video.name(frame) for frame in (0, 1))
    opacity = session.masks.opacity(0, bear)
    assert opacity is not None
    known = opacity.is_known
    assert np.array_equal(found[name][known], np.round(opacity.alpha[known] * 255).astype(np.uint8))
    assert not np.array_equal(found[name], by_distance[name])
    assert np.array_equal(found[other], by_distance[other])
    assert set(np.unique(hard[name])) == {0, 255}
    for picture, frame in ((name, 0), (other, 1)):
        mask = session.masks[frame] == bear
        assert np.array_equal(found[picture] >= 128, mask)
        assert np.array_equal(by_default[picture] >= 128, mask)
        # By default the picture's colours, beginning with what is kept, or with the mask.
        kept = np.where(known & (frame == 0), opacity.alpha, mask).astype(np.float32)
        both, alone = (refined_edge(mask, session.video[frame], 3.0, soft) for soft in (kept, None))
        expected = np.where(mask, both.clip(128 / 255, 1), both.clip(0, 127 / 255))
        assert np.abs(by_default[picture] - 255 * expected).max() <= 0.51
        assert np.allclose(both, alone) is (frame == 1)


def test_all_objects_as_one_are_the_sum_of_theirs(session: Session, place: Path) -> None:
    first, second = tracked(session)
    kind = FORMATS["png-sequence"]
    session.export(
        "png-sequence",
        place / "out",
        options=kind.options(**{"edge_px": 3.0, "edge_from": "network"}),
    )
    for frame in range(8):
        [path] = (place / "out").rglob(f"*.{frame:07d}.png")
        with Image.open(path) as opened:
            alpha = np.asarray(opened)[:, :, 3]
        labels = session.masks[frame]
        assert np.array_equal(alpha >= 128, labels > 0)
        kept = [session.masks.opacity(frame, one) for one in (first, second)]
        if all(one is not None for one in kept):
            known = np.logical_and.reduce([one.is_known for one in kept if one is not None])
            total = sum(one.alpha for one in kept if one is not None)
            expected = np.where(
                labels > 0, np.clip(total, 128 / 255, 1), np.clip(total, 0, 127 / 255)
            )
            assert np.abs(alpha[known] - 255 * expected[known]).max(initial=0) <= 1


# The command


def test_the_command_keeps_them_and_says_so(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interaction.session.Engines", lambda settings=None: FakeEngines())
    with Session.open(place / "clip", place / "bear.vos", engines=SoftEngines()) as session:
        first, second = session.add_object("disc"), session.add_object("box")
        session.set_mask(0, tiny.labels(0, first, second))
    project = str(place / "bear.vos")

    def run(*words: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        assert ended.value.code == 0
        return capsys.readouterr().out

    run("propagate", project, "--keep-probabilities")
    report = json.loads(run("info", project, "--json"))
    assert report["keeps_probabilities"] is True
    assert report["frames_with_probabilities"] >= 1
    run("propagate", project, "--drop-probabilities", "--from", "0")
    report = json.loads(run("info", project, "--json"))
    assert report["keeps_probabilities"] is False
    with pytest.raises(SystemExit):
        main(["propagate", str(place / "clip"), "--keep-probabilities"])
    assert "--keep-probabilities is for projects only" in capsys.readouterr().err


def test_a_frame_is_the_same_without_them() -> None:
    assert FrameRecord(mattes=(Matte(1, b"a", b"b"),)) == FrameRecord()
