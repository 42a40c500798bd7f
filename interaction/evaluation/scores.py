"""Region similarity J, boundary accuracy F, and their statistics as DAVIS defines them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import ceil, hypot
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

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
