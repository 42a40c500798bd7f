"""Predicted masks against ground truth, clip by clip, as the DAVIS 2017 benchmark scores them.

Both sides are folders of palette PNGs: one folder is one clip, a folder of folders several.
`find_clips` pairs them up by names alone, `score_clip` reads one frame at a time, and `Evaluation`
(in `scores.py`) is the result. What J and F are is in `mask_metrics.py`.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from interaction.annotation.mask_files import learn_reading, read_mask, read_size
from interaction.annotation.mask_folders import list_pictures, natural_key, place_masks
from interaction.errors import UserError
from interaction.tracking.scores import (
    ClipScore,
    Evaluation,
    ObjectScore,
    SkippedClip,
    boundary_accuracy,
    region_similarity,
    summarize,
)

__all__ = [
    "Clip",
    "ClipScore",
    "Evaluation",
    "ObjectScore",
    "SkippedClip",
    "evaluate_clips",
    "find_clips",
    "score_clip",
]

_VOID: Final = 255  # in ground truth: neither object nor background, so not scored
_FEWEST_FRAMES: Final = 3  # the first and the last are left out


@dataclass(frozen=True, slots=True)
class Clip:
    """The files of one clip. A prediction is None where there is no file for the frame."""

    name: str
    truths: tuple[Path, ...]  # one per annotated frame, in order
    predictions: tuple[Path | None, ...]  # one per entry of `truths`


def evaluate_clips(
    predictions: Path, ground_truth: Path
) -> Generator[ClipScore | SkippedClip, None, None]:
    """Score every clip of the ground truth, one item per clip; give them to `Evaluation.of`.

    Raises what `find_clips` and `score_clip` raise.
    """
    for clip in find_clips(predictions, ground_truth):
        yield score_clip(clip)


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
                f"There is no folder “{folder}”.\n\nGive the folder with the predicted masks, "
                "then the folder with the ground truth."
            )
    clips = _clips_in(predictions, ground_truth)
    if not any(path for clip in clips for path in clip.predictions):
        first = clips[0]
        raise UserError(
            f"No mask in “{predictions}” belongs to the ground truth in “{ground_truth}”.\n\n"
            f"For example, “{first.truths[0].name}” of the clip “{first.name}” was looked for."
        )
    return clips


def score_clip(clip: Clip) -> ClipScore | SkippedClip:
    """J and F of every object in the clip's first ground-truth mask; holds one frame at a time.

    Pixels with the value 255 in the ground truth are left out, unless 0 and 255 are all the
    values it has: then 255 is object 1. Raises UnreadableMaskError, also for a prediction that
    is not of the ground truth's size.
    """
    if len(clip.truths) < _FEWEST_FRAMES:
        return SkippedClip(
            clip.name,
            f"it has too few annotated frames ({len(clip.truths)}): the first and the last are not "
            f"scored, so {_FEWEST_FRAMES} are needed",
        )
    width, height = read_size(clip.truths[0])
    truth_reading = learn_reading(clip.truths, width, height)
    present = [path for path in clip.predictions[1:-1] if path]
    prediction_reading = learn_reading(present, width, height)

    first = read_mask(clip.truths[0], width, height, truth_reading)
    objects = sorted(set(np.unique(first).tolist()) - {0, _VOID})
    if not objects:
        return SkippedClip(clip.name, "its first ground-truth mask holds no object")

    values: dict[int, list[tuple[float, float]]] = {object_id: [] for object_id in objects}
    true_ids: set[int] = set()
    predicted_ids: set[int] = set()
    for truth_path, path in zip(clip.truths[1:-1], clip.predictions[1:-1], strict=True):
        truth = read_mask(truth_path, width, height, truth_reading)
        if path is None:
            prediction = np.zeros_like(truth)
        else:
            prediction = read_mask(path, width, height, prediction_reading)
            prediction[truth == _VOID] = 0
        true_ids.update(np.unique(truth).tolist())
        predicted_ids.update(np.unique(prediction).tolist())
        for object_id in objects:
            pair = prediction == object_id, truth == object_id
            values[object_id].append((region_similarity(*pair), boundary_accuracy(*pair)))

    scores = []
    for object_id, pairs in values.items():
        region, boundary = np.array(pairs).T
        scores.append(ObjectScore(object_id, summarize(region), summarize(boundary)))
    return ClipScore(
        name=clip.name,
        frame_count=len(clip.truths) - 2,
        objects=tuple(scores),
        missing_frames=tuple(
            truth.stem
            for truth, path in zip(clip.truths[1:-1], clip.predictions[1:-1], strict=True)
            if path is None
        ),
        missing_objects=tuple(sorted((true_ids & set(objects)) - predicted_ids)),
        unknown_objects=tuple(sorted(predicted_ids - set(objects) - {0})),
        late_objects=tuple(sorted(true_ids - set(objects) - {0, _VOID})),
    )


def _clips_in(predictions: Path, ground_truth: Path) -> tuple[Clip, ...]:
    truths = list_pictures(ground_truth)
    if truths:
        # A folder of clips may hold the predictions of the one clip that is asked for.
        beside = predictions / ground_truth.name
        is_inside = not list_pictures(predictions) and beside.is_dir()
        return (_pair(ground_truth.name, truths, beside if is_inside else predictions),)

    folders = sorted(
        (path for path in ground_truth.iterdir() if path.is_dir() and path.name[0] != "."),
        key=lambda path: natural_key(path.name),
    )
    pictures = {folder.name: list_pictures(folder) for folder in folders}
    clips = tuple(
        _pair(name, files, predictions / name) for name, files in pictures.items() if files
    )
    if not clips:
        raise UserError(
            f"The ground truth “{ground_truth}” holds no masks.\n\nGive a folder of PNG masks, "
            "or a folder that holds such folders, one for each clip."
        )
    return clips


def _pair(name: str, truths: list[Path], predictions: Path) -> Clip:
    pictures = list_pictures(predictions) if predictions.is_dir() else []
    # Ground truth may cover every tenth frame, so a position in it is no frame index.
    found: Mapping[int, Path] = place_masks(
        pictures, [path.stem for path in truths], by_index=False
    ).by_frame
    return Clip(name, tuple(truths), tuple(found.get(frame) for frame in range(len(truths))))
