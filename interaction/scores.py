"""What an evaluation found: J, F and J&F by object and clip, and what was missing or odd.

Made by `evaluation.py`; nothing here opens a file. All scores are between 0 and 1.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from interaction.errors import UserError
from interaction.mask_metrics import Statistics

__all__ = ["ClipScore", "Evaluation", "ObjectScore", "SkippedClip"]


@dataclass(frozen=True, slots=True)
class ObjectScore:
    object_id: int
    region: Statistics  # J
    boundary: Statistics  # F

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
                f"Nothing could be scored. {reasons}.\n\n"
                "Give ground truth with masks for at least three frames of a clip."
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

    def to_json(self) -> dict[str, Any]:
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


def _clip_to_json(clip: ClipScore) -> dict[str, Any]:
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
