"""How good a tracked mask probably is, for each object, and which frame to look at next.

The signs of one object on one frame are a few numbers, noted while tracking and kept with the frame
(`interaction.tracking.signs`). A calibrated model makes an expected IoU of them; it is a table of
coefficients here, so that a better table also serves projects of before it.
`python -m benchmarks.trust` fits and measures it. Needs no torch.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import FrameRecord, FrameStatus, Signs

# In the order in which they are kept. All are 0 or more; the scale is noted where it is not 0 to 1.
SIGNS: Final = (
    "entropy",  # of the object's probability along its outline, in bits
    "margin",  # 1 less the likeliest's lead over the second, along the outline
    "soft",  # undecided positions for each of the outline, 0 to 4
    "unsure",  # 1 - the IoU that the probabilities themselves promise
    "inside",  # 1 less the lead, inside
    "outline",  # positions of the outline for each of the area
    "small",  # -log10 of the share of the picture, 0 to 5
    "jump",  # |log2| of the area over that of the frame before, 0 to 3
    "shift",  # of the centre since the frame before, in roots of the area, 0 to 2
    "warp",  # 1 - IoU with the mask before, moved by optical flow
    "returns",  # how much more the mask is like the one two frames before than like the last
    "pieces",  # more pieces than the frame before, 0 to 4
    "strange",  # distance to the nearest element of memory, in nats, 0 to 8
    "own",  # share of the readout that comes from tracked frames and not from given ones
    "beside",  # the same, just outside the outline
    "drift",  # how unlike its key is to that in the given frame, 0 to 2
    "away",  # log2 of 1 + frames from where the run began or the last given frame, 0 to 12
    "is_gone",  # it has no pixel
    "is_two",  # a forward and a backward pass exist
    "disagreement",  # 1 - IoU of the two
    "is_asked",  # a click network was, about the mask, see `interaction.tracking.opinion`
    "denied",  # the share of the mask that it denies, beyond the least so far
)
MOST: Final = {
    "soft": 4, "small": 5, "jump": 3, "shift": 2, "pieces": 4, "strange": 8, "away": 12, "drift": 2,
}  # fmt: skip


FLICKER: Final = "flicker"  # of one frame, as the frames beside it say; not kept but worked out
INPUTS: Final = (*SIGNS, FLICKER)
# Of the logit of the expected IoU, by input; fitted by `python -m benchmarks.trust`.
COEFFICIENTS: Final[Mapping[str, float]] = {
    "bias": 5.33,
    "entropy": -1.58,
    "margin": -2.04,
    "soft": -0.3,
    "unsure": -2.04,
    "inside": -0.79,
    "outline": -2.18,
    "small": -0.51,
    "jump": -0.12,
    "shift": -0.12,
    "warp": -0.25,
    "pieces": -0.07,
    "own": -0.17,
    "beside": -0.43,
    "away": -0.02,
    "is_gone": -1.0,
    "is_two": 0.2,
    "disagreement": -1.98,
    "flicker": -2.0,
    # Not fitted with the others: the click network has learned from the same clips as the tracker.
    "denied": -2.5,
}
_WEIGHTS: Final = np.array([COEFFICIENTS.get(name, 0.0) for name in INPUTS])
# A mask goes wrong and right again over some frames, while its signs jitter from one to the next:
# those of the frames beside it count too. Of the frame, and of those one and two frames away.
_SHARES: Final = (3.0, 2.0, 1.0)
# Frames from one question to the click network about an object to the next; the answers are
# interpolated between them.
ASKED_EVERY: Final = 8
BESIDE: Final = len(_SHARES) - 1 + ASKED_EVERY  # frames on either side whose signs count
_WARP: Final = SIGNS.index("warp")
IS_TWO: Final = SIGNS.index("is_two")
_RETURNS: Final = SIGNS.index("returns")
_IS_ASKED: Final = SIGNS.index("is_asked")
_DENIED: Final = SIGNS.index("denied")
_ID, _PACKED = attrgetter("object_id"), attrgetter("packed")
_ROW_BYTES: Final = 8 * len(SIGNS)
_OLD_ROW_BYTES: Final = 8 * _IS_ASKED
_OBJECTS: Final = 256  # ids are below it
_JUDGED: Final = (FrameStatus.TRACKED, FrameStatus.CORRECTED)  # a tracker has a say there


def doubt_of(signs: Iterable[Signs]) -> float:
    """1 less the expected IoU of the worst object of a frame, by the signs of the frame alone."""
    # Those of a first pass may be of before there were opinions.
    rows = [one.packed.ljust(_ROW_BYTES, b"\0") for one in signs]
    if not rows:
        return 0.0
    values = np.frombuffer(b"".join(rows)).reshape(len(rows), len(SIGNS))
    logits = COEFFICIENTS["bias"] + values @ _WEIGHTS[:-1]
    return round(1 - float(_share(logits).min()), 4)


def is_of_two_passes(record: FrameRecord) -> bool:
    """Whether its mask is blended of a forward and a backward pass."""
    return any(one.values[IS_TWO] > 0 for one in record.signs)


def _share(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)


def flicker(
    values: Sequence[float], before: Sequence[float] | None, after: Sequence[float] | None
) -> float:
    """0 to 1: the mask differs from those of both frames beside it, which are like each other.

    values: an object's signs on the frame; before, after: those on the frames beside it. The frame
    that was tracked next has compared itself with the one tracked before.
    """
    beside = [one[_RETURNS] for one in (before, after) if one is not None]
    return min(values[_WARP], max(beside, default=0.0))


def expected(
    frames: Iterable[int], records: Mapping[int, FrameRecord]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """(n,) frame, (n,) object and (n,) expected IoU of what a tracker put there, or looked for
    without finding it. Objects that the annotator answers for are left out.

    Without signs, as in projects of before they were kept, an object is as good as the frame's
    doubt says.
    """
    judged = {
        frame: one
        for frame in frames
        if (one := records.get(frame)) is not None and one.status in _JUDGED
    }
    indices, own_records = np.fromiter(judged, np.intp), list(judged.values())
    present = _places(indices, [one.present for one in own_records])
    own = _places(indices, [one.given for one in own_records])  # the annotator's
    places, inputs = _sign_rows({frame for frame, one in judged.items() if one.signs}, records)
    logits = COEFFICIENTS["bias"] + averaged(places, inputs[:, :-1] @ _WEIGHTS[:-1])
    logits += inputs[:, -1] * _WEIGHTS[-1]  # a flicker is of one frame
    is_asked = _among(places // _OBJECTS, indices)
    signed, ious = places[is_asked], _share(logits[is_asked])
    unsigned = present[~_among(present, np.concatenate([own, signed]))]
    doubts = np.fromiter((judged[one].doubt for one in (unsigned // _OBJECTS).tolist()), np.float64)
    found = np.concatenate([signed, unsigned])
    return found // _OBJECTS, found % _OBJECTS, np.concatenate([ious, 1 - doubts])


def _places(frames: NDArray[np.intp], objects: Sequence[Collection[int]]) -> NDArray[np.intp]:
    """Frame and object of each as one number. objects: of each frame."""
    of_frames = np.repeat(frames, np.fromiter(map(len, objects), np.intp))
    return of_frames * _OBJECTS + np.fromiter(chain.from_iterable(objects), np.intp)


def _among(places: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
    return np.isin(places, others, kind="table")  # small numbers: no need to sort them


def _sign_rows(
    frames: AbstractSet[int], records: Mapping[int, FrameRecord]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(n,) ascending `_places` and (n, len(INPUTS)) of all signs on `frames` and beside them, but
    of what the annotator answers for: they are of a mask that is no more."""
    beside = range(-BESIDE, BESIDE + 1)
    around = sorted({frame + step for frame in frames for step in beside} & records.keys())
    # All in arrays: undoing a run asks about thousands of frames at once.
    found = [records[frame] for frame in around]
    signs = [one.signs if one.status in _JUDGED else () for one in found]
    own = _places(np.array(around, np.intp), [one.given for one in found])
    flat = list(chain.from_iterable(signs))
    objects = np.fromiter(map(_ID, flat), np.intp, len(flat))
    places = np.repeat(np.array(around, np.intp), [len(one) for one in signs]) * _OBJECTS + objects
    rows = list(map(_PACKED, flat))
    sizes = np.fromiter(map(len, rows), np.intp)
    if not (sizes == _ROW_BYTES).all():  # of before there were opinions, or damaged
        is_valid = (sizes == _ROW_BYTES) | (sizes == _OLD_ROW_BYTES)
        rows = [
            one.ljust(_ROW_BYTES, b"\0") for one, is_in in zip(rows, is_valid, strict=True) if is_in
        ]
        places = places[is_valid]
    inputs = np.zeros((len(rows), len(INPUTS)))
    inputs[:, : len(SIGNS)] = np.frombuffer(b"".join(rows)).reshape(len(rows), len(SIGNS))
    if len(own):
        is_judged = ~_among(places, own)
        places, inputs = places[is_judged], inputs[is_judged]
    if (np.diff(places) <= 0).any():  # the last one where damage has left two of an object
        places, last = np.unique(places[::-1], return_index=True)
        inputs = inputs[::-1][last]
    if len(places):
        spread_opinions(places, inputs)
        inputs[:, -1] = _flicker(places, inputs)
    return places, inputs


def spread_opinions(places: NDArray[np.intp], inputs: NDArray[np.float64]) -> None:
    """Gives the frames between two answers of the click network what lies between them, in place,
    and those with one answer near that one.

    places: (n,) frame * 256 + object, ascending; inputs: (n, ...), the signs first.
    """
    objects = places % _OBJECTS
    is_asked = np.asarray(inputs[:, _IS_ASKED] > 0, np.bool_)
    for one in np.unique(objects[is_asked]).tolist():
        rows = np.flatnonzero(objects == one)
        frames, asked = places[rows] // _OBJECTS, rows[is_asked[rows]]
        known, answers = places[asked] // _OBJECTS, inputs[asked, _DENIED]
        after = np.searchsorted(known, frames)  # the first answer that is not before the frame
        found, total = np.zeros(len(rows)), np.zeros(len(rows))
        for at in (after - 1, after):
            index = at.clip(0, len(known) - 1)
            away = np.abs(frames - known[index])
            weight = np.where((at == index) & (away < ASKED_EVERY), ASKED_EVERY - away, 0)
            found += weight * answers[index]
            total += weight
        found /= np.maximum(total, 1)
        found[is_asked[rows]] = answers
        inputs[rows, _DENIED] = found


def averaged(places: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, ...) of each place with the frames beside it, as far as they are there.

    places: (n,) frame * 256 + object, ascending; values: (n, ...).
    """
    total = _SHARES[0] * values
    weights = np.full(len(places), _SHARES[0])
    for away, share in enumerate(_SHARES[1:], start=1):
        for step in (-away * _OBJECTS, away * _OBJECTS):
            at = np.searchsorted(places, places + step)
            at[at == len(places)] = 0
            is_there = places[at] == places + step
            total[is_there] += share * values[at[is_there]]
            weights[is_there] += share
    return np.asarray((total.T / weights).T, np.float64)


def _flicker(keys: NDArray[np.intp], inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """`flicker` of many. keys: (n,) `_places`, ascending."""
    beside = np.zeros(len(keys))
    for step in (-_OBJECTS, _OBJECTS):
        at = np.minimum(np.searchsorted(keys, keys + step), len(keys) - 1)
        returns = np.where(keys[at] == keys + step, inputs[at, _RETURNS], -np.inf)
        beside = returns if step < 0 else np.maximum(beside, returns)
    return np.minimum(inputs[:, _WARP], np.where(np.isinf(beside), 0, beside))


GOAL: Final = 0.9  # expected IoU that is good enough, unless another is asked for
_MOST_CANDIDATES: Final = 300
_REACH: Final = 40.0  # frames at which a given mask helps half as much
_BEYOND: Final = 0.5  # of that helps where another given frame is nearer
_MOST_COMPARED: Final = 500  # frames, to know how much an object's look usually changes
_LEAST_SPREAD: Final = 0.02  # squared distance of keys; below it an object always looks the same

Keys = tuple[NDArray[np.intp], NDArray[np.float32]]  # (K,) frames, ascending; (K, L) of length 1


@dataclass(frozen=True, slots=True)
class NextFrame:
    """A frame worth annotating."""

    frame: int
    object_id: int  # the one in most need
    expected_iou: float  # of that object
    mends: int  # about how many frames below the goal would get right, itself included


def next_frames(
    annotation: Annotation,
    *,
    goal: float = GOAL,
    most: int = 20,
    trust: Mapping[int, NDArray[np.float32]] | None = None,
) -> list[NextFrame]:
    """The frames whose annotation would repair most, best first; empty once nothing that was
    tracked is expected below `goal`.

    A frame repairs others between the given frames beside it, the better the nearer they are and
    the more the object looks the same there (its key). That counts by the frame's own error: the
    tracker learns little from a mask that it already had right. Each choice takes off what the
    ones before it would repair, so that the list is diverse. trust: by object, (N,) the expected
    IoU of its frames, NaN where there is none, if that is known already.
    """
    if trust is None:
        trust = expected_rows(annotation)
    errors = _errors_below(goal, trust, sorted(one.id for one in annotation.objects))
    if not errors:
        return []
    worst_errors = np.max(list(errors.values()), axis=0)
    candidates, frames = _candidates(worst_errors), np.flatnonzero(worst_errors)
    given = [f for f, record in annotation.records.items() if record.status.is_given]
    reach = _reach(candidates, np.array(sorted(given), np.intp), frames)
    keys = _keys(annotation.records)
    # Only where an object has an error is there something to repair.
    bad = {object_id: np.flatnonzero(error) for object_id, error in errors.items()}
    helps = {
        one: reach[:, np.searchsorted(frames, its_bad)]
        * _likeness(keys.get(one), candidates, its_bad)
        for one, its_bad in bad.items()
    }
    chosen: list[NextFrame] = []
    while len(chosen) < min(most, len(candidates)):
        gains = [helps[one] @ errors[one][its_bad] for one, its_bad in bad.items()]
        gain = np.asarray(np.sum(gains, axis=0, dtype=np.float64))
        gain *= np.max([error[candidates] for error in errors.values()], axis=0)
        best = int(np.argmax(gain))
        frame = int(candidates[best])
        worst = max(errors, key=lambda one: float(errors[one][frame]))
        if float(errors[worst][frame]) < (1 - goal) / 4:  # what was chosen repairs it
            if gain[best] <= 0:
                break
            for error in errors.values():
                error[frame] = 0
            for matrix in helps.values():
                matrix[best] = 0
            continue
        repaired = [its_bad[helps[one][best] >= 0.5] for one, its_bad in bad.items()]
        mended = np.unique(np.concatenate([[frame], *repaired]))
        iou = float(np.nan_to_num(trust[worst][frame]))
        chosen.append(NextFrame(frame, worst, iou, len(mended)))
        for one, its_bad in bad.items():
            errors[one][its_bad] *= 1 - helps[one][best]
            errors[one][frame] = 0
            helps[one][best] = 0
    return chosen


def _errors_below(
    goal: float, trust: Mapping[int, NDArray[np.float32]], ids: Iterable[int]
) -> dict[int, NDArray[np.float32]]:
    """By object, (N,) what its expected IoU lacks of 1 where that is below the goal, else 0; no
    objects without such a frame."""
    rows = {one: trust[one] for one in ids if one in trust}
    return {
        one: np.where(row < goal, 1 - row, np.float32(0))
        for one, row in rows.items()
        if (row < goal).any()
    }


def expected_rows(annotation: Annotation) -> dict[int, NDArray[np.float32]]:
    """By object, (N,) the expected IoU on each frame, NaN where no tracker has a say."""
    records = annotation.records
    frames, objects, ious = expected(records, records)
    rows = {}
    for object_id in np.unique(objects).tolist():
        rows[object_id] = np.full(annotation.frame_count, np.nan, np.float32)
        is_its = objects == object_id
        rows[object_id][frames[is_its]] = ious[is_its]
    return rows


def _candidates(worst: NDArray[np.float32]) -> NDArray[np.intp]:
    """Of the frames with an error, all, or of long videos the worst of each stretch."""
    frames = np.flatnonzero(worst > 0)
    if len(frames) <= _MOST_CANDIDATES:
        return frames
    stretches = np.array_split(frames, _MOST_CANDIDATES)
    return np.array([one[np.argmax(worst[one])] for one in stretches], np.intp)


def _reach(
    candidates: NDArray[np.intp], given: NDArray[np.intp], frames: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(C, F) how far each candidate's mask would be followed to each of `frames`, 0 to 1."""
    apart = np.abs(frames[None] - candidates[:, None])
    reach = 1 / (1 + (apart / _REACH) ** 2)
    if len(given):
        place = np.searchsorted(given, frames)
        before, after = given[np.maximum(place - 1, 0)], given[np.minimum(place, len(given) - 1)]
        nearest = np.minimum(np.abs(frames - before), np.abs(after - frames))
        is_apart = place[None] != np.searchsorted(given, candidates)[:, None]
        reach = np.where(apart > nearest[None], reach * _BEYOND, reach)
        reach[is_apart] = 0  # beyond a given frame nothing is tracked again
    return reach.astype(np.float32)


def _keys(records: Mapping[int, FrameRecord]) -> dict[int, Keys]:
    """By object, its keys; left out where fewer than two frames have one."""
    found: dict[int, dict[int, bytes]] = {}
    for frame, record in records.items():
        for one in record.signs:
            if one.key:
                found.setdefault(one.object_id, {})[frame] = one.key
    result = {}
    for object_id, keys in found.items():
        length = max(map(len, keys.values()))
        frames = sorted(frame for frame, key in keys.items() if len(key) == length)
        if len(frames) >= 2:
            packed = b"".join(keys[frame] for frame in frames)
            rows = np.frombuffer(packed, np.int8).reshape(-1, length).astype(np.float32)
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)
            result[object_id] = np.array(frames, np.intp), rows
    return result


def _likeness(
    keys: Keys | None, candidates: NDArray[np.intp], frames: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(C, F) how much the object looks the same as on each of `frames`, 0 to 1; 1 where that is
    not known."""
    likeness = np.ones((len(candidates), len(frames)), np.float32)
    if keys is None:
        return likeness
    known, rows = keys
    _, own, at = np.intersect1d(candidates, known, assume_unique=True, return_indices=True)
    _, columns, across = np.intersect1d(frames, known, assume_unique=True, return_indices=True)
    if len(own):
        some = rows[np.linspace(0, len(known) - 1, min(len(known), _MOST_COMPARED)).astype(np.intp)]
        usual = np.median(np.maximum(0, 2 - 2 * rows[at] @ some.T))
        squared = np.maximum(0, 2 - 2 * rows[at] @ rows[across].T)
        likeness[np.ix_(own, columns)] = np.exp(-squared / (2 * max(_LEAST_SPREAD, float(usual))))
    return likeness
