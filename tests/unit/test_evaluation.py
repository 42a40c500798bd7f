"""J, F and J&F agree with independent computations, and odd inputs are reported."""

import json
import re
from collections.abc import Mapping
from math import ceil, sqrt
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from typer.testing import CliRunner

from interaction.annotation.mask_files import encode_labels
from interaction.command_line.measure import evaluate
from interaction.errors import UnreadableMaskError, UserError
from interaction.evaluation.scores import (
    ClipScore,
    Evaluation,
    SkippedClip,
    boundary_accuracy,
    boundary_map,
    boundary_tolerance_px,
    find_clips,
    region_similarity,
    score_clip,
    summarize,
)

CLIPS = Path(__file__).parents[3] / "shared" / "clips" / "Annotations"

Mask = NDArray[np.bool_]


def blobs(generator: np.random.Generator, height: int, width: int) -> Mask:
    """A few ellipses, some over the picture's edge, now and then with a hole or empty."""
    canvas = np.zeros((height, width), dtype=np.uint8)
    for value in generator.integers(0, 2, size=generator.integers(0, 5)).tolist():
        center = generator.integers(0, [width, height])
        axes = generator.integers(1, [width // 3, height // 3])
        angle = float(generator.integers(0, 180))
        cv2.ellipse(canvas, center.tolist(), axes.tolist(), angle, 0, 360, value, -1)
    return canvas.astype(np.bool_)


def boundary_by_definition(mask: Mask) -> set[tuple[int, int]]:
    """Pixel by pixel: differs from the one to the east, south or south-east."""
    height, width = mask.shape
    boundary = set()
    for y in range(height):
        for x in range(width):
            neighbours = {(y, x + 1), (y + 1, x), (y + 1, x + 1)}
            inside = [
                (row, column) for row, column in neighbours if row < height and column < width
            ]
            if any(mask[y, x] != mask[neighbour] for neighbour in inside):
                boundary.add((y, x))
    return boundary


def accuracy_by_distance(prediction: Mask, truth: Mask) -> float:
    """F from exact Euclidean distances between the two sets of boundary pixels."""
    maps = []
    for mask in (prediction, truth):
        boundary = np.zeros(mask.shape, dtype=np.bool_)
        for pixel in boundary_by_definition(mask):
            boundary[pixel] = True
        maps.append(boundary)
    return accuracy_of_boundaries(*maps)


def accuracy_of_boundaries(predicted: Mask, true: Mask) -> float:
    radius = ceil(0.008 * sqrt(true.shape[0] ** 2 + true.shape[1] ** 2))
    if not predicted.any() or not true.any():
        return 1.0 if predicted.any() == true.any() else 0.0
    precision = float(np.mean(distance_transform_edt(~true)[predicted] <= radius))
    recall = float(np.mean(distance_transform_edt(~predicted)[true] <= radius))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(40))
def test_boundary_accuracy_matches_distances_between_boundary_pixels(seed: int) -> None:
    generator = np.random.default_rng(seed)
    height, width = generator.integers(20, 90, size=2).tolist()
    truth = blobs(generator, height, width)
    shift = generator.integers(-3, 4, size=2).tolist()
    near = np.roll(truth, shift, axis=(0, 1))
    for prediction in (near, blobs(generator, height, width)):
        assert boundary_accuracy(prediction, truth) == pytest.approx(
            accuracy_by_distance(prediction, truth), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(10))
def test_boundary_accuracy_at_full_size_matches_distances(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = blobs(generator, 240, 432)
    prediction = np.roll(truth, generator.integers(-9, 10, size=2).tolist(), axis=(0, 1))
    expected = accuracy_of_boundaries(boundary_map(prediction), boundary_map(truth))
    assert boundary_accuracy(prediction, truth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_boundary_map_matches_its_definition(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 9)) < 0.4
    rows, columns = np.nonzero(boundary_map(mask))
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == boundary_by_definition(mask)


@pytest.mark.parametrize("seed", range(20))
def test_region_similarity_matches_set_arithmetic(seed: int) -> None:
    generator = np.random.default_rng(seed)
    prediction, truth = blobs(generator, 30, 40), blobs(generator, 30, 40)
    ours = set(np.flatnonzero(prediction).tolist())
    theirs = set(np.flatnonzero(truth).tolist())
    expected = len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0
    assert region_similarity(prediction, truth) == pytest.approx(expected, abs=1e-12)


def test_special_cases_of_both_measures() -> None:
    empty, full = np.zeros((20, 30), dtype=np.bool_), np.ones((20, 30), dtype=np.bool_)
    spot = empty.copy()
    spot[5:9, 6:11] = True
    far = np.roll(spot, 15, axis=1)
    assert (region_similarity(empty, empty), boundary_accuracy(empty, empty)) == (1, 1)
    assert (region_similarity(spot, empty), boundary_accuracy(spot, empty)) == (0, 0)
    assert (region_similarity(empty, spot), boundary_accuracy(empty, spot)) == (0, 0)
    assert (region_similarity(spot, far), boundary_accuracy(spot, far)) == (0, 0)
    # A mask of the whole picture has no boundary to be wrong about.
    assert (region_similarity(full, empty), boundary_accuracy(full, empty)) == (0, 1)


@pytest.mark.parametrize(
    ("size", "expected"), [((480, 854), 8), ((240, 432), 4), ((1080, 1920), 18), ((3, 4), 1)]
)
def test_the_tolerance_is_0_008_of_the_diagonal_rounded_up(
    size: tuple[int, int], expected: int
) -> None:
    assert boundary_tolerance_px(*size) == expected


def test_statistics_are_mean_share_above_half_and_first_less_last_quarter() -> None:
    values = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2])
    statistics = summarize(values)
    assert statistics.mean == pytest.approx(values.mean())
    assert statistics.recall == 5 / 8  # 0.5 itself is not above
    # Eight frames are cut at 1, 2.75, 4.5, 6.25 and 8: frames 1-3 and 6-8.
    assert statistics.decay == pytest.approx(0.9 - (0.5 + 0.4 + 0.2) / 3)
    assert summarize(np.array([0.4])).decay == 0
    with pytest.raises(ValueError, match="at least one frame"):
        summarize(np.array([]))


def test_quarters_of_a_long_clip_are_quarters() -> None:
    values = np.concatenate([np.ones(500), np.zeros(500)])
    assert summarize(values).decay == 1


def square(left: int, object_id: int = 1, size: tuple[int, int] = (40, 60)) -> NDArray[np.uint8]:
    labels = np.zeros(size, dtype=np.uint8)
    labels[10:20, left : left + 10] = object_id
    return labels


def save_clip(folder: Path, masks: Mapping[str, NDArray[np.uint8]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in masks.items():
        (folder / f"{name}.png").write_bytes(encode_labels(labels))
    return folder


def still(count: int = 5) -> dict[str, NDArray[np.uint8]]:
    return {f"{frame:05}": square(20) for frame in range(count)}


def scored(predictions: Path, truth: Path) -> ClipScore:
    (result,) = map(score_clip, find_clips(predictions, truth))
    assert isinstance(result, ClipScore)
    return result


def test_a_prediction_is_scored_per_object_without_the_first_and_last_frame(tmp_path: Path) -> None:
    truth = {name: square(5, 1) + square(30, 2) for name in still()}
    moved = {name: square(5, 1) + square(35, 2) for name in still()}
    moved["00000"][:] = moved["00004"][:] = 0  # would cost object 1 its perfect score
    score = scored(save_clip(tmp_path / "p", moved), save_clip(tmp_path / "t", truth))

    assert score.frame_count == 3
    first, second = score.objects
    assert (first.object_id, first.region.mean, first.boundary.mean) == (1, 1, 1)
    assert second.region.mean == pytest.approx(50 / 150)
    expected = accuracy_by_distance(moved["00001"] == 2, truth["00001"] == 2)
    assert second.boundary.mean == pytest.approx(expected)
    assert 0 < expected < 1
    assert score.mean == pytest.approx((1 + (50 / 150 + expected) / 2) / 2)


def test_void_pixels_are_left_out(tmp_path: Path) -> None:
    truth = still()
    predicted = still()
    for name in truth:
        truth[name][:, 40:] = 255
        predicted[name][:, 40:] = 1
    score = scored(save_clip(tmp_path / "p", predicted), save_clip(tmp_path / "t", truth))
    assert score.mean == 1
    assert [entry.object_id for entry in score.objects] == [1]


def test_binary_ground_truth_of_0_and_255_is_object_1(tmp_path: Path) -> None:
    truth = save_clip(tmp_path / "t", {name: mask * 255 for name, mask in still().items()})
    assert scored(save_clip(tmp_path / "p", still()), truth).mean == 1


def test_a_missing_frame_counts_as_empty_and_is_reported(tmp_path: Path) -> None:
    predicted = still()
    del predicted["00000"], predicted["00002"]
    score = scored(save_clip(tmp_path / "p", predicted), save_clip(tmp_path / "t", still()))
    assert score.missing_frames == ("00002",)
    assert score.objects[0].region.mean == pytest.approx(2 / 3)
    assert not score.is_missing


def test_missing_unknown_and_late_objects_are_reported(tmp_path: Path) -> None:
    truth = {name: square(5, 1) + square(20, 2) for name in still()}
    truth["00003"] += square(40, 4)
    predicted = {name: square(5, 1) + square(40, 7) for name in still()}
    score = scored(save_clip(tmp_path / "p", predicted), save_clip(tmp_path / "t", truth))
    assert (score.missing_objects, score.unknown_objects, score.late_objects) == ((2,), (7,), (4,))
    assert [entry.mean for entry in score.objects] == [1, 0]


def test_an_object_that_is_gone_and_not_predicted_scores_1(tmp_path: Path) -> None:
    masks = still()
    for name in ("00001", "00002", "00003"):
        masks[name][:] = 0
    score = scored(save_clip(tmp_path / "p", masks), save_clip(tmp_path / "t", masks))
    assert score.mean == 1
    assert score.missing_objects == ()


def test_predictions_with_more_digits_or_frames_are_matched_by_number(tmp_path: Path) -> None:
    truth = save_clip(tmp_path / "t", {f"{5 * frame:05}": square(frame) for frame in range(5)})
    predicted = {f"{frame:07}": square(frame // 5) for frame in range(21)}
    score = scored(save_clip(tmp_path / "p", predicted), truth)
    assert score.mean == 1
    assert score.missing_frames == ()


def test_positions_in_sparse_ground_truth_are_not_frame_numbers(tmp_path: Path) -> None:
    truth = save_clip(tmp_path / "t", {f"{10 * frame:05}": square(20) for frame in range(1, 5)})
    predicted = save_clip(tmp_path / "p", {f"{frame:05}": square(20) for frame in range(4)})
    with pytest.raises(UserError, match="belongs to the ground truth"):
        find_clips(predicted, truth)


def test_frames_are_ordered_by_number_not_by_letter(tmp_path: Path) -> None:
    masks = {str(frame): square(frame) for frame in range(12)}
    (clip,) = find_clips(save_clip(tmp_path / "p", masks), save_clip(tmp_path / "t", masks))
    assert [path.stem for path in clip.truths] == [str(frame) for frame in range(12)]


def test_several_clips_are_averaged_over_objects_not_over_clips(tmp_path: Path) -> None:
    two = {name: square(5, 1) + square(30, 2) for name in still()}
    save_clip(tmp_path / "t" / "two", two)
    save_clip(tmp_path / "p" / "two", two)
    save_clip(tmp_path / "t" / "one", still())
    save_clip(tmp_path / "t" / "short", still(2))
    (tmp_path / "t" / ".hidden").mkdir()
    results = [score_clip(clip) for clip in find_clips(tmp_path / "p", tmp_path / "t")]
    assert [result.name for result in results] == ["one", "short", "two"]
    evaluation = Evaluation.of(results)

    missing, complete = evaluation.clips
    assert missing.is_missing
    assert missing.missing_frames == ("00001", "00002", "00003")
    assert (missing.mean, complete.mean) == (0, 1)
    assert evaluation.mean == pytest.approx(2 / 3)
    assert evaluation.region.recall == pytest.approx(2 / 3)
    assert [clip.name for clip in evaluation.skipped] == ["short"]

    plain = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert plain["j_and_f"] == pytest.approx(2 / 3)
    assert [clip["name"] for clip in plain["clips"]] == ["one", "two"]
    assert plain["clips"][0]["is_missing"] is True
    assert plain["clips"][1]["objects"][1]["j"]["mean"] == 1
    assert plain["skipped"][0]["name"] == "short"


def test_one_clip_is_found_among_the_predictions_of_many(tmp_path: Path) -> None:
    truth = save_clip(tmp_path / "t" / "bear", still())
    save_clip(tmp_path / "p" / "bear", still())
    assert scored(tmp_path / "p", truth).mean == 1


def test_clips_that_cannot_be_scored_are_named_with_the_reason(tmp_path: Path) -> None:
    short = save_clip(tmp_path / "short", still(2))
    blank = save_clip(tmp_path / "blank", {name: mask * 0 for name, mask in still().items()})
    for folder, reason in ((short, r"annotated frames \(2\)"), (blank, "holds no object")):
        (clip,) = find_clips(folder, folder)
        result = score_clip(clip)
        assert isinstance(result, SkippedClip)
        assert re.search(reason, result.reason)
        with pytest.raises(UserError, match=reason):
            Evaluation.of([result])


def test_folders_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    truth = save_clip(tmp_path / "t", still())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no folder “.*absent”"):
        find_clips(tmp_path / "absent", truth)
    with pytest.raises(UserError, match=r"“.*empty” holds no masks"):
        find_clips(truth, tmp_path / "empty")
    with pytest.raises(UserError, match=r"“00000\.png” of the clip “t”"):
        find_clips(tmp_path / "empty", truth)


def test_a_prediction_of_another_size_is_an_error_with_both_sizes(tmp_path: Path) -> None:
    predicted = save_clip(tmp_path / "p", {name: square(20, 1, (20, 30)) for name in still()})
    with pytest.raises(UnreadableMaskError, match="30 × 20 pixels and the video is 60 × 40"):
        scored(predicted, save_clip(tmp_path / "t", still()))


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs the development clips in ../shared/clips")
def test_real_ground_truth_scores_1_against_itself() -> None:
    clips = {clip.name: clip for clip in find_clips(CLIPS, CLIPS)}
    tennis = score_clip(clips["tennis"])
    assert isinstance(tennis, ClipScore)
    assert (tennis.frame_count, tennis.mean, tennis.objects[0].region.decay) == (68, 1, 0)
    assert isinstance(score_clip(clips["crowd"]), SkippedClip)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs the development clips in ../shared/clips")
def test_real_ground_truth_moved_by_two_pixels_keeps_its_boundary_but_not_its_region(
    tmp_path: Path,
) -> None:
    for path in sorted((CLIPS / "tennis").iterdir())[:6]:
        with Image.open(path) as image:
            labels = np.asarray(image)
        save_clip(tmp_path, {path.stem: np.roll(labels, 2, axis=1)})
    (clip,) = find_clips(tmp_path, CLIPS / "tennis")
    score = score_clip(clip)
    assert isinstance(score, ClipScore)
    assert len(score.missing_frames) == 68 - 5
    present = score.frame_count - len(score.missing_frames)
    assert score.objects[0].boundary.mean * score.frame_count == pytest.approx(present, abs=0.05)
    assert score.objects[0].region.mean * score.frame_count < present * 0.97


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(evaluate)
    return app


def test_the_command_prints_a_table_and_remarks(
    command: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    predicted = {name: mask for name, mask in still().items() if name != "00002"}
    save_clip(tmp_path / "p" / "bear", predicted)
    save_clip(tmp_path / "t" / "bear", still())
    save_clip(tmp_path / "t" / "crowd", still(1))
    result = CliRunner().invoke(command, [str(tmp_path / "p"), str(tmp_path / "t")])
    assert result.exit_code == 0
    (row,) = [line for line in result.stdout.splitlines() if "bear" in line]
    assert row.split()[:5] == ["bear", "1", "3", "66.7", "66.7"]
    assert "bear: 1 of 3 frames have no prediction and count as empty: 00002." in result.stderr
    assert "crowd: not scored, it has too few annotated frames (1)" in result.stderr


def test_the_command_prints_nothing_but_json_on_standard_output(
    command: typer.Typer, tmp_path: Path
) -> None:
    folder = save_clip(tmp_path / "bear", still())
    result = CliRunner().invoke(command, [str(folder), str(folder), "--json"])
    assert json.loads(result.stdout)["j_and_f"] == 1
