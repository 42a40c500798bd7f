"""Predicted masks against ground truth, clip by clip, as the DAVIS 2017 benchmark scores them.

Both sides are folders of palette PNGs: one folder is one clip, a folder of folders several.
`find_clips` pairs them up by names alone, `score_clip` reads one frame at a time, and `Evaluation`
(in `scores.py`) is the result, beside what J and F are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from interaction.annotation.mask_files import learn_reading, read_mask, read_size
from interaction.annotation.mask_folders import list_pictures, natural_key, place_masks
from interaction.errors import UserError
from interaction.evaluation.scores import (
    ClipScore,
    ObjectScore,
    SkippedClip,
    boundary_accuracy,
    region_similarity,
)

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
