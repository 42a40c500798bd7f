"""Predicted masks against ground truth, clip by clip, as the DAVIS 2017 benchmark scores them:
region similarity J, boundary accuracy F, and their statistics.

Both sides are folders of palette PNGs: one folder is one clip, a folder of folders several.
`find_clips` pairs them up by names alone, `score_clip` reads one frame at a time, and `Evaluation`
is the result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import ceil, hypot
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_files import learn_reading, read_mask, read_size
from interaction.annotation.mask_folders import list_pictures, natural_key, place_masks
from interaction.errors import UserError
from interaction.files import JsonObject

_TOLERANCE: Final = 0.008  # of the picture's diagonal
_RECALL_ABOVE: Final = 0.5
_DECAY_BINS: Final = 4


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure over the frames of one object, or averaged over several objects."""

    mean: float
    recall: float  # share of frames above 0.5
    decay: float  # mean of the first quarter of the frames less that of the last: lower is better


def region_similarity(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """J: intersection over union of two (H, W) masks; 1 if both are empty."""
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary_accuracy(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """F: harmonic mean of the boundaries' precision and recall for two (H, W) masks.

    A boundary pixel counts as found if the other mask has one within `boundary_tolerance_px`.
    With no boundary in either mask F is 1, with one in only one of them it is 0. A mask that
    covers the whole picture has no boundary.
    """
    height, width = truth.shape
    rows, columns = _extent(prediction | truth)
    predicted = boundary_map(prediction[rows, columns])
    true = boundary_map(truth[rows, columns])

    predicted_count, true_count = np.count_nonzero(predicted), np.count_nonzero(true)
    if not predicted_count or not true_count:
        return float(predicted_count == true_count)
    disk = _disk(boundary_tolerance_px(height, width))
    precision = np.count_nonzero(predicted & _dilated(true, disk)) / predicted_count
    recall = np.count_nonzero(true & _dilated(predicted, disk)) / true_count
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W): where a pixel differs from its neighbour to the east, south or south-east.

    The last row looks only east, the last column only south, and the last pixel is never set.
    """
    boundary = np.zeros_like(mask)
    here = mask[:-1, :-1]
    boundary[:-1, :-1] = (here ^ mask[:-1, 1:]) | (here ^ mask[1:, :-1]) | (here ^ mask[1:, 1:])
    boundary[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    boundary[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return boundary


def boundary_tolerance_px(height: int, width: int) -> int:
    """How far apart two boundary pixels may lie and still be the same, in pixels."""
    return ceil(_TOLERANCE * hypot(height, width))


def summarize(values: NDArray[np.float64]) -> Statistics:
    """Mean, recall and decay of one measure; values: (frames,), at least one.

    Neighbouring quarters share a frame, as in the benchmark.
    """
    if values.size == 0:
        raise ValueError("values must hold at least one frame, got none")
    # The tiny push makes halves round up instead of to even, as in the benchmark.
    edges = np.round(np.linspace(1, values.size, _DECAY_BINS + 1) + 1e-10).astype(int) - 1
    first = values[: edges[1] + 1]
    last = values[edges[-2] :]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > _RECALL_ABOVE).mean()),
        decay=float(first.mean() - last.mean()),
    )


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold every set pixel and, inside the picture, one more all round.

    Boundaries lie within, so cutting them out changes no value and saves most of the work.
    """
    slices: list[slice] = []
    for axis in (1, 0):
        occupied = np.flatnonzero(mask.any(axis=axis))
        start, stop = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, 0)
        slices.append(slice(max(0, start - 1), stop + 2))
    return slices[0], slices[1]


@lru_cache(maxsize=8)
def _disk(radius_px: int) -> NDArray[np.uint8]:
    """(2r + 1, 2r + 1): 1 where the centre is at most `radius_px` away."""
    offsets = np.arange(-radius_px, radius_px + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius_px**2).astype(np.uint8)


def _dilated(boundary: NDArray[np.bool_], disk: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return cv2.dilate(boundary.astype(np.uint8), disk).astype(np.bool_)


@dataclass(frozen=True, slots=True)
class ObjectScore:
    object_id: int
    region: Statistics  # J
    boundary: Statistics  # F
    by_frame: Mapping[str, tuple[float, float]]  # J and F of each scored frame, by its name

    @classmethod
    def of(cls, object_id: int, by_frame: Mapping[str, tuple[float, float]]) -> "ObjectScore":
        """by_frame: at least one frame, in their order."""
        region, boundary = np.array(list(by_frame.values())).T
        return cls(object_id, summarize(region), summarize(boundary), by_frame)

    @property
    def mean(self) -> float:
        """J&F."""
        return (self.region.mean + self.boundary.mean) / 2


@dataclass(frozen=True, slots=True)
class ClipScore:
    """One scored clip, and what was odd about its predictions."""

    name: str
    frame_count: int  # scored frames: the first and the last annotated one are left out
    objects: tuple[ObjectScore, ...]  # at least one, by id
    missing_frames: tuple[str, ...]  # scored frames without a prediction: they count as empty
    missing_objects: tuple[int, ...]  # in the ground truth, never predicted
    unknown_objects: tuple[int, ...]  # predicted, not in the first ground-truth mask: not scored
    late_objects: tuple[int, ...]  # in later ground truth but not in the first: not scored

    @classmethod
    def from_json(cls, plain: JsonObject) -> "ClipScore":
        """The inverse of `dataclasses.asdict`. KeyError, TypeError or ValueError if it is none."""
        objects = tuple(
            ObjectScore.of(
                int(one["object_id"]), {n: (j, f) for n, (j, f) in one["by_frame"].items()}
            )
            for one in plain["objects"]
        )
        names = {
            field: tuple(plain[field])
            for field in ("missing_frames", "missing_objects", "unknown_objects", "late_objects")
        }
        return cls(name=plain["name"], frame_count=plain["frame_count"], objects=objects, **names)

    @property
    def is_missing(self) -> bool:
        """No frame of the clip was predicted."""
        return len(self.missing_frames) == self.frame_count

    @property
    def mean(self) -> float:
        """J&F, averaged over the clip's objects."""
        return float(np.mean([score.mean for score in self.objects]))


@dataclass(frozen=True, slots=True)
class SkippedClip:
    """A clip of the ground truth that cannot be scored; it counts nowhere."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All clips. Every object weighs the same, whichever clip it is in."""

    clips: tuple[ClipScore, ...]  # at least one
    skipped: tuple[SkippedClip, ...]

    @classmethod
    def of(cls, results: Iterable[ClipScore | SkippedClip]) -> "Evaluation":
        """Gather what `score_clip` returned. Raises UserError if no clip could be scored."""
        results = tuple(results)
        skipped = tuple(result for result in results if isinstance(result, SkippedClip))
        clips = tuple(result for result in results if isinstance(result, ClipScore))
        if not clips:
            reasons = "; ".join(f"“{clip.name}”: {clip.reason}" for clip in skipped)
            raise UserError(
                "Nothing could be scored. {reasons}.\n\n"
                "Give ground truth with masks for at least three frames of a clip.",
                reasons=reasons,
            )
        return cls(clips, skipped)

    @property
    def region(self) -> Statistics:
        """J, averaged over objects."""
        return _average([score.region for clip in self.clips for score in clip.objects])

    @property
    def boundary(self) -> Statistics:
        """F, averaged over objects."""
        return _average([score.boundary for clip in self.clips for score in clip.objects])

    @property
    def mean(self) -> float:
        """J&F, the benchmark's ranking number."""
        return (self.region.mean + self.boundary.mean) / 2

    def to_json(self) -> dict[str, object]:
        """Plain values, ready for `json.dumps`; scores are between 0 and 1."""
        return {
            "j_and_f": self.mean,
            "j": asdict(self.region),
            "f": asdict(self.boundary),
            "clips": [_clip_to_json(clip) for clip in self.clips],
            "skipped": [asdict(clip) for clip in self.skipped],
        }


def _average(parts: list[Statistics]) -> Statistics:
    return Statistics(
        mean=float(np.mean([part.mean for part in parts])),
        recall=float(np.mean([part.recall for part in parts])),
        decay=float(np.mean([part.decay for part in parts])),
    )


def _clip_to_json(clip: ClipScore) -> dict[str, object]:
    return {
        "name": clip.name,
        "frame_count": clip.frame_count,
        "j_and_f": clip.mean,
        "objects": [
            {
                "object_id": score.object_id,
                "j_and_f": score.mean,
                "j": asdict(score.region),
                "f": asdict(score.boundary),
            }
            for score in clip.objects
        ],
        "is_missing": clip.is_missing,
        "missing_frames": list(clip.missing_frames),
        "missing_objects": list(clip.missing_objects),
        "unknown_objects": list(clip.unknown_objects),
        "late_objects": list(clip.late_objects),
    }


_VOID: Final = 255  # in ground truth: neither object nor background, so not scored


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """Which frames and objects a benchmark scores. An object's first mask is given, so its own
    frame is never scored."""

    is_single_object: bool = False  # all objects are one, as in DAVIS 2016
    has_late_objects: bool = False  # objects may begin after the first annotated frame
    scores_last: bool = False  # DAVIS leaves the last annotated frame out


DAVIS: Final = ScoringRule()


@dataclass(frozen=True, slots=True)
class Clip:
    """The files of one clip. A prediction is None where there is no file for the frame."""

    name: str
    truths: tuple[Path, ...]  # one per annotated frame, in order
    predictions: tuple[Path | None, ...]  # one per entry of `truths`


def find_clips(predictions: Path, ground_truth: Path) -> tuple[Clip, ...]:
    """Pair the folders' files by name, in natural order of the clips' names; opens no picture.

    A prediction belongs to a ground-truth mask of the same name or, if that fits more of them,
    to the one whose name ends in the same number. A clip or a frame without predictions stays
    in: it is scored as empty, so that leaving out a hard clip never raises the mean.

    Raises UserError: a folder that is not there or holds no masks, or nothing that fits at all.
    """
    for folder in (predictions, ground_truth):
        if not folder.is_dir():
            raise UserError(
                "There is no folder “{folder}”.\n\nGive the folder with the predicted masks, "
                "then the folder with the ground truth.",
                folder=folder,
            )
    clips = _clips_in(predictions, ground_truth)
    if not any(path for clip in clips for path in clip.predictions):
        first = clips[0]
        raise UserError(
            "No mask in “{predictions}” belongs to the ground truth in “{ground_truth}”.\n\n"
            "For example, “{name}” of the clip “{clip}” was looked for.",
            predictions=predictions,
            ground_truth=ground_truth,
            name=first.truths[0].name,
            clip=first.name,
        )
    return clips


def score_clip(clip: Clip, rule: ScoringRule = DAVIS) -> ClipScore | SkippedClip:
    """J and F of the clip's objects; holds one frame at a time.

    Pixels with the value 255 in the ground truth are left out, unless 0 and 255 are all the
    values it has: then 255 is object 1. Raises UnreadableMaskError, also for a prediction that
    is not of the ground truth's size.
    """
    if reason := _too_few_frames(clip, rule):
        return SkippedClip(clip.name, reason)
    width, height = read_size(clip.truths[0])
    truth_reading = learn_reading(clip.truths, width, height)
    scored = range(1, len(clip.truths) - (not rule.scores_last))
    present = [path for position in scored if (path := clip.predictions[position])]
    prediction_reading = learn_reading(present, width, height)

    values: dict[int, dict[str, tuple[float, float]]] = {}  # by object and frame
    true_ids: set[int] = set()
    predicted_ids: set[int] = set()
    for position in (0, *scored):
        truth = read_mask(clip.truths[position], width, height, truth_reading)
        if rule.is_single_object:
            truth[(truth > 0) & (truth != _VOID)] = 1
        ids = set(np.unique(truth).tolist()) - {0, _VOID}
        if position:
            true_ids |= ids
            path = clip.predictions[position]
            prediction = np.zeros_like(truth)
            if path is not None:
                prediction = read_mask(path, width, height, prediction_reading)
                prediction[truth == _VOID] = 0
            if rule.is_single_object:
                prediction[prediction > 0] = 1
            predicted_ids |= set(np.unique(prediction).tolist()) - {0}
            for object_id, by_frame in values.items():
                pair = prediction == object_id, truth == object_id
                by_frame[clip.truths[position].stem] = (
                    region_similarity(*pair),
                    boundary_accuracy(*pair),
                )
        if not position or rule.has_late_objects:
            values |= {object_id: {} for object_id in sorted(ids - set(values))}
    if not values:
        return SkippedClip(clip.name, "its first ground-truth mask holds no object")
    scores = [
        ObjectScore.of(object_id, by_frame) for object_id, by_frame in values.items() if by_frame
    ]
    missing = [clip.truths[i].stem for i in scored if clip.predictions[i] is None]
    return ClipScore(
        name=clip.name,
        frame_count=len(scored),
        objects=tuple(sorted(scores, key=lambda score: score.object_id)),
        missing_frames=tuple(missing),
        missing_objects=tuple(sorted((true_ids & set(values)) - predicted_ids)),
        unknown_objects=tuple(sorted(predicted_ids - set(values))),
        late_objects=tuple(sorted(true_ids - set(values))),
    )


def _too_few_frames(clip: Clip, rule: ScoringRule) -> str:
    """Why the clip cannot be scored; "" if it has enough."""
    fewest = 2 if rule.scores_last else 3
    if len(clip.truths) >= fewest:
        return ""
    unscored = "first is" if rule.scores_last else "first and the last are"
    return (
        f"it has too few annotated frames ({len(clip.truths)}): the {unscored} not scored, so "
        f"{fewest} are needed"
    )


def _clips_in(predictions: Path, ground_truth: Path) -> tuple[Clip, ...]:
    truths = list_pictures(ground_truth)
    if truths:
        # A folder of clips may hold the predictions of the one clip that is asked for.
        beside = predictions / ground_truth.name
        is_inside = not list_pictures(predictions) and beside.is_dir()
        return (pair_clip(ground_truth.name, truths, beside if is_inside else predictions),)

    folders = sorted(
        (path for path in ground_truth.iterdir() if path.is_dir() and path.name[0] != "."),
        key=lambda path: natural_key(path.name),
    )
    pictures = {folder.name: list_pictures(folder) for folder in folders}
    clips = tuple(
        pair_clip(name, files, predictions / name) for name, files in pictures.items() if files
    )
    if not clips:
        raise UserError(
            "The ground truth “{ground_truth}” holds no masks.\n\nGive a folder of PNG masks, "
            "or a folder that holds such folders, one for each clip.",
            ground_truth=ground_truth,
        )
    return clips


def pair_clip(name: str, truths: Sequence[Path], predictions: Path) -> Clip:
    """The clip whose predictions lie in the folder `predictions`; it need not exist."""
    pictures = list_pictures(predictions) if predictions.is_dir() else []
    # Ground truth may cover every tenth frame, so a position in it is no frame index.
    found: Mapping[int, Path] = place_masks(
        pictures, [path.stem for path in truths], by_index=False
    ).by_frame
    return Clip(name, tuple(truths), tuple(found.get(frame) for frame in range(len(truths))))
