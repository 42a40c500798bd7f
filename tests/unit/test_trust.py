"""Trust: signs read while tracking, the expected IoU they lead to, and the frames to do next."""

import json
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.types import FrameRecord, FrameStatus, ObjectInfo, Signs
from interaction.project.records import (
    DamagedValueError,
    MaskPlace,
    record_from_json,
    record_to_json,
)
from interaction.tracking import trust
from interaction.tracking.blending import PassStore, blend, joined_signs
from interaction.tracking.signs import disagreement, look, read_signs
from interaction.tracking.trust import (
    COEFFICIENTS,
    INPUTS,
    SIGNS,
    doubt_of,
    next_frames,
)
from xmem_core.pictures import Prediction

SIZE = 240, 320


def disc(
    x: float = 160, y: float = 120, radius: float = 50, softness: float = 2
) -> NDArray[np.float64]:
    """The probability of a disc whose edge goes from 0 to 1 over about `softness` pixels."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = radius - np.hypot(columns - x, rows - y)
    return np.asarray(1 / (1 + np.exp(-4 * inside / softness)))


def prediction(*objects: NDArray[np.float64]) -> Prediction:
    stacked = np.stack([np.prod([1 - one for one in objects], axis=0), *objects])
    stacked /= stacked.sum(axis=0)
    return Prediction(
        tuple(range(1, len(objects) + 1)), torch.from_numpy(stacked.astype(np.float32)), SIZE
    )


def doubt(shown: Prediction, before: Prediction | None = None) -> float:
    earlier = None if before is None else look(before, None)
    values = read_signs(look(shown, None), earlier, None, None, 1)
    return doubt_of(Signs.of(one, row) for one, row in values.items())


def test_a_clear_mask_that_stays_where_it_was_is_hardly_doubted() -> None:
    assert doubt(prediction(disc()), prediction(disc(x=161))) < 0.15


@pytest.mark.parametrize(
    "shown",
    [
        prediction(disc(softness=40)),  # where it ends is not known
        prediction(0.6 * disc()),  # it is hardly likelier than the background
        prediction(disc(radius=30)),  # much of it is gone
        prediction(0 * disc()),  # all of it is gone
        prediction(np.maximum(disc(x=80, radius=36), disc(x=240, radius=36))),  # it fell apart
    ],
    ids=["soft", "unsure", "shrunk", "gone", "in pieces"],
)
def test_signs_of_trouble_raise_it(shown: Prediction) -> None:
    before = prediction(disc())
    sure = doubt(prediction(disc()), before)
    assert doubt(shown, before) > sure


def test_every_input_of_the_model_is_known_and_only_makes_it_more_careful() -> None:
    assert COEFFICIENTS.keys() <= {"bias", *INPUTS}
    assert COEFFICIENTS["disagreement"] < 0


def test_the_worst_object_counts() -> None:
    clear, unsure = disc(x=80, radius=30), 0.6 * disc(x=240, radius=30)
    assert doubt(prediction(clear, unsure)) == pytest.approx(doubt(prediction(unsure)), abs=0.05)


def test_background_alone_is_not_doubted() -> None:
    assert doubt(Prediction((), torch.ones(1, *SIZE), SIZE)) == 0.0


@pytest.mark.parametrize("fills", [0.999, 1.0])
def test_an_object_may_fill_the_picture(fills: float) -> None:
    """It has no outline then, and nothing beside it."""
    whole = prediction(np.full(SIZE, fills))
    assert doubt(whole, whole) < 0.15
    assert doubt(whole, prediction(disc())) > doubt(whole, whole)


def test_frames_of_another_internal_size_are_compared_all_the_same() -> None:
    large = prediction(disc())
    small = Prediction((1,), large.small[:, ::2, ::2], SIZE)
    assert abs(doubt(small, large) - doubt(large, large)) < 0.1


def test_passes_disagree_by_what_they_do_not_share() -> None:
    left, right = look(prediction(disc(x=100)), None), look(prediction(disc(x=160)), None)
    assert disagreement(left, left, 1) == 0
    assert 0.6 < disagreement(left, right, 1) < 1


# Two passes


def masks(shown: Prediction) -> NDArray[np.uint8]:
    return shown.labels()


def are_alike(first: Prediction, second: Prediction) -> bool:
    """Up to the pixels of an outline."""
    return float(np.mean(masks(first) != masks(second))) < 0.005


def test_where_passes_agree_blending_changes_nothing() -> None:
    one = prediction(disc())
    both, apart = blend(one, one, 0.3)
    assert np.array_equal(masks(both), masks(one))
    assert apart == {1: 0.0}


def test_the_nearer_pass_counts_for_more() -> None:
    left, right = prediction(disc(x=100)), prediction(disc(x=220))
    for share, like in ((0.05, left), (0.95, right)):
        both, apart = blend(left, right, share)
        assert are_alike(both, like)
        assert apart[1] == 1.0


def test_a_surer_pass_counts_for_more_than_one_that_is_a_little_nearer() -> None:
    sure, unsure = prediction(disc()), prediction(0.2 * disc())
    both, _ = blend(unsure, sure, 0.35)
    assert masks(both)[120, 160] == 1
    assert not masks(blend(unsure, sure, 0.2)[0]).any()


def test_an_object_that_one_pass_did_not_look_for_is_the_others() -> None:
    first, second = (
        prediction(disc(x=80, radius=30)),
        prediction(0 * disc(), disc(x=240, radius=30)),
    )
    second = Prediction((2,), second.small[[0, 2]], SIZE)
    both, _ = blend(first, second, 0.5)
    assert both.objects == (1, 2)
    alone = masks(second)
    assert np.array_equal(masks(both) == 2, alone == 2)


def test_a_first_pass_is_kept_packed() -> None:
    store, shown = PassStore(), prediction(disc())
    store.put(7, shown, (signs(),))
    kept = store.take(7)
    assert kept is not None
    assert kept[1] == (signs(),)
    assert torch.allclose(kept[0].small, shown.small, atol=1 / 255)
    assert store.take(7) is None


def test_what_unpacks_to_more_than_it_says_is_not_unpacked() -> None:
    store, shown = PassStore(), prediction(disc())
    store.put(3, shown, ())
    about, packed = store.state()
    bomb = np.frombuffer(zlib.compress(bytes(2**28)), np.uint8).copy()
    size = shown.source_size
    PassStore().restore(about, packed, size)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="frame 3 is damaged"):
            PassStore().restore(about, {"3": torch.from_numpy(bomb)}, size)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 2**24
    odds: list[dict[str, object]] = [
        {"shape": [2, 2**14, 2**40]},
        {"shape": [2, -4, -4]},
        {"shape": [2, 4]},
        {"shape": []},
        {"size": [2**40, 2**40]},
        {"objects": [300]},
    ]
    for odd in odds:
        with pytest.raises(ValueError, match=r"frame 3|number"):
            PassStore().restore([{**about[0], **odd}], packed, size)


def test_joined_signs_are_those_of_the_nearer_pass_with_the_disagreement() -> None:
    first, second = (signs(1, warp=0.1),), (signs(1, warp=0.2), signs(2, warp=0.3))
    place = {name: index for index, name in enumerate(SIGNS)}
    near, other = joined_signs(first, second, 0.4, {1: 0.25, 2: 0.0})
    assert (near.object_id, near.values[place["warp"]]) == (1, 0.1)
    assert near.values[place["disagreement"]] == 0.25
    assert near.values[place["is_two"]] == other.values[place["is_two"]] == 1
    assert other.values[place["warp"]] == 0.3


# With the frames of a project


def signs(object_id: int = 1, key: bytes = b"", **values: float) -> Signs:
    return Signs.of(object_id, (values.get(name, 0.0) for name in SIGNS), key)


def tracked(*signs: Signs, doubt: float = 0.0) -> FrameRecord:
    labels = np.zeros((4, 8), np.uint8)
    for one in signs:
        labels[:, one.object_id] = one.object_id
    return replace(make_record(labels, FrameStatus.TRACKED, doubt=doubt), signs=signs)


def annotation(records: dict[int, FrameRecord], frames: int = 100) -> Annotation:
    objects = [ObjectInfo(one, f"object {one}", (255, 0, 0)) for one in (1, 2)]
    return Annotation(frames, 8, 4, records=records, objects=objects)


def expected(records: dict[int, FrameRecord]) -> dict[int, dict[int, float]]:
    """By frame and object; every frame of `records` is in it."""
    result: dict[int, dict[int, float]] = {frame: {} for frame in records}
    found = trust.expected(records, records)
    for frame, object_id, iou in zip(*(one.tolist() for one in found), strict=True):
        result[frame][object_id] = iou
    return result


def test_a_mask_of_one_frame_that_differs_from_both_beside_it_is_less_trusted() -> None:
    steady = {frame: tracked(signs(warp=0.4)) for frame in range(3)}
    jumping = {**steady, 2: tracked(signs(warp=0.4, returns=0.5))}  # frame 2 is like frame 0
    assert expected(jumping)[1][1] < expected(steady)[1][1]
    assert expected(jumping)[0][1] == expected(steady)[0][1]


def test_signs_of_two_frames_beside_count_too() -> None:
    records = {frame: tracked(signs(entropy=0.2)) for frame in range(11)}
    steady = expected(records)[5][1]
    ious = expected({**records, 5: tracked(signs(entropy=0.9))})
    assert ious[5][1] < ious[4][1] < ious[3][1] < ious[2][1] == steady
    assert [ious[5 + away][1] for away in (1, 2, 3)] == [ious[5 - away][1] for away in (1, 2, 3)]


def test_the_first_pass_of_a_run_from_before_there_were_opinions_has_its_doubt() -> None:
    now = [signs(one, entropy=one / 2) for one in (1, 2)]
    old = [Signs(one.object_id, one.packed[: -2 * 8]) for one in now]
    assert doubt_of(old) == doubt_of([old[0], now[1]]) == doubt_of(now) > 0


def test_a_mask_of_which_more_is_denied_than_of_given_ones_is_less_trusted() -> None:
    plain = expected({0: tracked(signs())})[0][1]
    assert expected({0: tracked(signs(is_asked=1))})[0][1] == plain
    assert expected({0: tracked(signs(is_asked=1, denied=0.2))})[0][1] < plain


def test_what_is_denied_lies_between_the_answers_and_is_the_same_of_some_frames_as_of_all() -> None:
    records = {frame: tracked(signs()) for frame in range(60)}
    for frame, denied in ((8, 0.0), (16, 0.4), (40, 0.3)):
        records[frame] = tracked(signs(is_asked=1, denied=denied))
    ious = [one[1] for one in expected(records).values()]
    plain = expected({0: tracked(signs())})[0][1]
    assert ious[11] > ious[12] > ious[13] > ious[14]  # between 8 and 16
    assert ious[28] == ious[55] == plain  # no answer near
    assert ious[20] == pytest.approx(ious[18])  # one answer near
    assert ious[20] < plain
    for frame in range(60):
        _, _, [iou] = trust.expected([frame], records)
        assert iou == pytest.approx(ious[frame], abs=1e-12), frame


def test_signs_of_before_there_were_opinions_count_as_ever() -> None:
    record = tracked(signs(entropy=0.3))
    old = Signs(1, record.signs[0].packed[: -2 * 8])
    ious = expected({0: replace(record, signs=(old,)), 1: record})
    assert ious == expected({0: record, 1: record})


def test_signs_of_a_mask_that_the_annotator_replaced_count_nowhere() -> None:
    records = {frame: tracked(signs(1), signs(2)) for frame in range(5)}
    wrong = tracked(signs(1, entropy=0.9, warp=0.5, returns=0.5), signs(2))
    for status, given in ((FrameStatus.CORRECTED, {1}), (FrameStatus.CONFIRMED, {1, 2})):
        replaced = replace(wrong, status=status, given=frozenset(given))
        ious = expected({**records, 2: replaced})
        assert all(ious[frame] == expected(records)[frame] for frame in (0, 1, 3, 4)), status


def test_projects_of_before_signs_were_kept_go_by_the_frames_doubt() -> None:
    record = replace(tracked(signs(1), signs(2), doubt=0.3), signs=())
    assert expected({5: record})[5] == pytest.approx({1: 0.7, 2: 0.7})
    unlike = replace(record, signs=(Signs.of(1, (0.5,)),))  # of a program with other signs
    assert expected({5: unlike})[5] == pytest.approx({1: 0.7, 2: 0.7})


def test_what_the_annotator_answers_for_is_not_judged() -> None:
    record = tracked(signs(1), signs(2))
    corrected = replace(record, status=FrameStatus.CORRECTED, given=frozenset({1}))
    assert expected({0: corrected})[0].keys() == {2}
    confirmed = replace(record, status=FrameStatus.CONFIRMED)
    assert expected({0: confirmed})[0] == {}


def test_signs_are_kept_with_the_frame() -> None:
    record = tracked(signs(1, bytes(range(64)), warp=0.125), signs(2, away=3.5))
    place = MaskPlace(0, 10, 7)
    value = json.loads(json.dumps(record_to_json(record, lambda _: place)))
    assert len(json.dumps(value["signs"])) < 600
    assert record.mask is not None
    mask = record.mask
    assert record_from_json(value, lambda _: mask) == record
    value["signs"]["version"] = 99  # a later program's
    assert record_from_json(value, lambda _: mask) == replace(record, signs=())
    del value["signs"]
    assert record_from_json(value, lambda _: mask) == replace(record, signs=())


@pytest.mark.parametrize(
    "objects",
    [
        {"0": [[0.5], ""]},
        {"1" * 5000: [[0.5], ""]},
        {"1": [[float("nan")], ""]},
        {"1": [[1e9], ""]},
        {"1": ["0.5", ""]},
        {"1": [[0.5], "no base 64!"]},
        {"1": [[0.5]]},
        [],
    ],
)
def test_damaged_signs_are_found(objects: object) -> None:
    signs = {"version": 1, "objects": objects}
    value: dict[str, object] = {"mask": None, "status": "tracked", "present": [], "doubt": 0.0}
    value["signs"] = signs
    with pytest.raises(DamagedValueError):
        record_from_json(value, lambda _: b"")


# Next frames


def errors(at: dict[int, float], frames: int = 100) -> Annotation:
    """Frame 0 is given; the others are tracked, with the errors `at` some of them."""
    records = {frame: tracked(signs(), doubt=at.get(frame, 0.0)) for frame in range(1, frames)}
    records = {frame: replace(record, signs=()) for frame, record in records.items()}
    records[0] = make_record(np.ones((4, 8), np.uint8), FrameStatus.CONFIRMED)
    return annotation(records, frames)


def test_a_long_bad_stretch_comes_before_one_frame_that_is_worse() -> None:
    stretch = dict.fromkeys(range(20, 45), 0.4)
    listed = next_frames(errors({**stretch, 90: 0.7}))
    assert 20 <= listed[0].frame < 45
    assert 20 <= listed[0].mends <= 26
    assert 90 in [one.frame for one in listed]
    assert next(one for one in listed if one.frame == 90).mends == 1


def test_the_list_is_diverse() -> None:
    two = dict.fromkeys([*range(10, 20), *range(70, 80)], 0.4)
    first, second = next_frames(errors(two), most=2)
    assert abs(first.frame - second.frame) > 40


def test_the_worst_frame_of_a_bad_stretch_comes_before_its_middle() -> None:
    stretch = dict.fromkeys(range(20, 45), 0.3)
    assert next_frames(errors({**stretch, 40: 0.5}))[0].frame == 40


def test_nothing_remains_above_the_goal() -> None:
    good = errors(dict.fromkeys(range(1, 100), 0.05))
    assert next_frames(good, goal=0.9) == []
    assert next_frames(good, goal=0.96) != []
    assert next_frames(annotation({})) == []


def test_frames_that_look_alike_are_mended_together() -> None:
    black, white = bytes([100] * 8), bytes([100, 156] * 4)
    records = {
        frame: tracked(signs(key=black if frame < 40 else white, entropy=1, unsure=1, warp=1))
        for frame in range(60)
    }
    [first, second] = next_frames(annotation(records, 60), most=2)
    assert first.frame < 40 <= second.frame
    assert first.mends <= 40


def test_behind_a_given_frame_nothing_is_mended() -> None:
    records = dict(errors(dict.fromkeys(range(30, 70), 0.5)).records)
    records[50] = records[0]
    listed = next_frames(annotation(records), most=2)
    assert sorted(one.frame > 50 for one in listed) == [False, True]
    assert all(one.mends <= 20 for one in listed)
