"""Whole data sets, on made-up roots laid out as each benchmark comes."""

import csv
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from interaction.annotation.mask_files import decode_labels, encode_labels
from interaction.command_line.app import main
from interaction.engines import EngineSettings
from interaction.errors import UserError
from interaction.evaluation.datasets import Kind, find_dataset
from interaction.evaluation.report import write_report
from interaction.evaluation.runs import ClipOutcome, DatasetRun, run_dataset, track_clip
from tests import tiny
from tests.fake_engines import SHORT, FakeEngines
from xmem_core.arrays import Frame, Labels
from xmem_core.pictures import Prediction
from xmem_core.weights import network_bytes

FRAMES = 11
LATE = 5  # the box is not annotated before


class StillTracker:
    """Every object stays where it was given. Notes what it was given, and when."""

    def __init__(self) -> None:
        self.given: list[tuple[int, tuple[int, ...]]] = []
        self.tracked = 0
        self.masks: dict[int, np.ndarray] = {}

    def encode(self, frames: Sequence[Frame]) -> list[Frame]:
        return list(frames)

    def begin(self) -> None:
        pass

    def memorize(self, index: int, frame: Frame, labels: Labels, objects: tuple[int, ...]) -> None:
        self.given.append((index, objects))
        self.masks |= {one: labels == one for one in objects}

    def revisit(self, index: int, frame: Frame) -> Prediction:
        return self.track(frame)

    def track(self, frame: Frame, *, is_last: bool = False) -> Prediction:
        self.tracked += 1
        ids = tuple(sorted(self.masks))
        full = np.stack([np.zeros(frame.shape[:2]), *(self.masks[one] for one in ids)])
        full[0] = 1 - full[1:].max(axis=0)
        return Prediction(ids, torch.from_numpy(full).float(), frame.shape[:2])


class StillEngines(FakeEngines):
    def start_tracker(self, settings: EngineSettings | None = None) -> StillTracker:  # type: ignore[override]
        self.trackers.append(StillTracker())  # type: ignore[arg-type]
        return self.trackers[-1]  # type: ignore[return-value]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> StillEngines:
    engines = StillEngines()
    monkeypatch.setattr("interaction.evaluation.runs._engines", lambda settings: engines)
    return engines


def pictures(folder: Path, frames: Sequence[int] = range(FRAMES)) -> None:
    folder.mkdir(parents=True)
    for index in frames:
        Image.fromarray(tiny.frame(index)).save(folder / f"{index:05d}.jpg")


def masks(folder: Path, frames: Sequence[int] = range(FRAMES), late: int = 0) -> None:
    folder.mkdir(parents=True)
    for index in frames:
        labels = tiny.labels(index, 1, 2)
        if index < late:
            labels[labels == 2] = 0
        (folder / f"{index:05d}.png").write_bytes(encode_labels(labels))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def davis(root: Path, kind: str) -> None:
    for clip in ("bear", "cows"):
        pictures(root / "JPEGImages" / "480p" / clip)
        masks(root / "Annotations" / "480p" / clip)
    if kind == "davis16":
        lines = [f"/JPEGImages/480p/bear/{i:05d}.jpg /A/480p/bear/{i:05d}.png" for i in range(3)]
        write(root / "ImageSets" / "480p" / "val.txt", "\n".join(lines))
    else:
        write(root / "ImageSets" / "2017" / "val.txt", "bear\n")


def youtube(root: Path, *, is_full: bool = True) -> None:
    every_fifth = range(0, FRAMES, 5)
    for clip in ("0a", "0b"):
        pictures(root / "all_frames" / "valid_all_frames" / "JPEGImages" / clip)
        pictures(root / "valid" / "JPEGImages" / clip, every_fifth)
        given = every_fifth if is_full else (0, LATE)
        masks(root / "valid" / "Annotations" / clip, given, LATE)
    objects = {"1": {"category": "bear"}, "2": {"category": "box"}}
    videos = {clip: {"objects": objects} for clip in ("0a", "0b")}
    write(root / "valid" / "meta.json", json.dumps({"videos": videos}))
    trained = {"videos": {"x": {"objects": {"1": {"category": "bear"}}}}}
    write(root / "train" / "meta.json", json.dumps(trained))


def build(kind: Kind, root: Path) -> None:
    if kind.startswith("davis"):
        davis(root, kind)
    elif kind.startswith("ytvos"):
        youtube(root)
    else:
        base = root / "valid" if kind == "lvos" else root
        pictures(base / "JPEGImages" / "long")
        masks(base / "Annotations" / "long", (0, 2, 5, 8, 10))
        if kind == "lvos":
            write(root / "unseen_videos.txt", "long\n")


def run_of(kind: Kind, root: Path, output: Path, **changes: object) -> DatasetRun:
    dataset = find_dataset(kind, root)
    engine = EngineSettings(device="cpu", memory=SHORT)
    run = DatasetRun(dataset=dataset, output=output, engine=engine, sizes=(dataset.internal_size,))
    return replace(run, **changes)  # type: ignore[arg-type]


def finish(run: DatasetRun) -> tuple[ClipOutcome, ...]:
    steps = run_dataset(run)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcomes: tuple[ClipOutcome, ...] = end.value
            return outcomes


def region(index: int, start: int, object_id: int) -> float:
    """J of a mask that stays where it was in frame `start`."""
    stays, truth = tiny.labels(start) == object_id, tiny.labels(index) == object_id
    return float((stays & truth).sum() / (stays | truth).sum())


@pytest.mark.parametrize(
    ("kind", "scored", "saved"),
    [
        ("davis16", range(1, 10), range(FRAMES)),
        ("davis17", range(1, 10), range(FRAMES)),
        ("ytvos18", (5, 10), (0, 5, 10)),
        ("ytvos19", (5, 10), (0, 5, 10)),
        ("lvos", (2, 5, 8), range(FRAMES)),
        ("longvideo", (2, 5, 8), (0, 2, 5, 8, 10)),
        ("folder", (2, 5, 8, 10), range(FRAMES)),
    ],
)
def test_each_benchmark_scores_and_saves_the_frames_that_it_prescribes(
    kind: Kind, scored: Sequence[int], saved: Sequence[int], tmp_path: Path, still: StillEngines
) -> None:
    build(kind, tmp_path / "root")
    run = run_of(kind, tmp_path / "root", tmp_path / "out")
    outcomes = finish(run)
    assert [one.name for one in outcomes] == [clip.name for clip in run.dataset.clips]
    assert len(outcomes) == (2 if kind.startswith("ytvos") else 1)
    outcome = outcomes[0]
    assert outcome.error is None
    assert {path.stem for path in run.masks(outcome.name).iterdir()} == {
        f"{index:05d}" for index in saved
    }
    assert outcome.score is not None
    disc = outcome.score.objects[0]
    assert list(disc.by_frame) == [f"{index:05d}" for index in scored]
    if kind == "davis16":  # both objects are one
        assert len(outcome.score.objects) == 1
        stays, truth = tiny.labels(0) > 0, tiny.labels(3) > 0
        expected = (stays & truth).sum() / (stays | truth).sum()
        assert disc.by_frame["00003"][0] == pytest.approx(expected)
    else:
        assert len(outcome.score.objects) == 2
        assert disc.by_frame["00005"][0] == pytest.approx(region(5, 0, 1))
    assert run.sizes == ((None,) if kind == "longvideo" else (480,))


def test_late_objects_are_given_on_their_frame_alone_and_scored_after_it(
    tmp_path: Path, still: StillEngines
) -> None:
    youtube(tmp_path / "root")
    run = run_of("ytvos18", tmp_path / "root", tmp_path / "out")
    outcomes = finish(run)
    assert [one.given for one in still.trackers] == [[(0, (1,)), (LATE, (2,))]] * 2  # type: ignore[attr-defined]
    assert still.trackers[0].tracked == FRAMES  # type: ignore[attr-defined]  # not only every fifth
    assert outcomes[0].score is not None
    box = outcomes[0].score.objects[1]
    assert {name: j for name, (j, _) in box.by_frame.items()} == {
        "00010": pytest.approx(region(10, LATE, 2))
    }

    summary = write_report(run, outcomes)
    assert summary.seen is not None
    assert summary.unseen is not None
    disc = outcomes[0].score.objects[0]
    assert summary.seen == pytest.approx((disc.region.mean, disc.boundary.mean))
    assert summary.unseen == pytest.approx((box.region.mean, box.boundary.mean))
    assert summary.overall == pytest.approx(np.mean([*summary.seen, *summary.unseen]))
    rows = list(csv.DictReader((run.output / "scores.csv").read_text("utf-8").splitlines()))
    assert [(row["clip"], row["is_unseen"]) for row in rows] == [
        ("0a", "0"), ("0a", "1"), ("0b", "0"), ("0b", "1")
    ]  # fmt: skip
    page = (run.output / "index.html").read_text("utf-8")
    assert page.count("<polyline") == 4
    assert "data:image/jpeg" in page
    assert json.loads((run.output / "scores.json").read_text("utf-8"))["overall"] == summary.overall


def test_without_ground_truth_a_zip_for_the_server_is_written(
    tmp_path: Path, still: StillEngines
) -> None:
    youtube(tmp_path / "root", is_full=False)
    run = run_of("ytvos19", tmp_path / "root", tmp_path / "out")
    outcomes = finish(run)
    assert all(outcome.score is None for outcome in outcomes)
    with zipfile.ZipFile(run.output / "ytvos19-val.zip") as archive:
        assert sorted(archive.namelist()) == [
            f"Annotations/{clip}/{index:05d}.png" for clip in ("0a", "0b") for index in (0, 5, 10)
        ]
        labels = decode_labels(archive.read("Annotations/0a/00010.png"))
    np.testing.assert_array_equal(labels == 1, tiny.labels(0) == 1)
    assert write_report(run, outcomes).overall is None


def test_davis_test_dev_has_first_masks_only_and_the_clips_at_the_top_of_the_zip(
    tmp_path: Path, still: StillEngines
) -> None:
    base = tmp_path / "root" / "test-dev"
    pictures(base / "JPEGImages" / "480p" / "bear")
    masks(base / "Annotations" / "480p" / "bear", (0,))
    write(base / "ImageSets" / "2017" / "test-dev.txt", "bear\n")
    dataset = find_dataset("davis17", tmp_path / "root", "test")
    engine = EngineSettings(device="cpu")
    finish(DatasetRun(dataset=dataset, output=tmp_path / "out", engine=engine, sizes=(480,)))
    with zipfile.ZipFile(tmp_path / "out" / "davis17-test.zip") as archive:
        assert archive.namelist() == [f"bear/{index:05d}.png" for index in range(FRAMES)]


def test_finished_clips_are_not_done_again_and_a_failing_one_stops_no_other(
    tmp_path: Path, still: StillEngines
) -> None:
    youtube(tmp_path / "root")
    picture = tmp_path / "root" / "all_frames" / "valid_all_frames" / "JPEGImages" / "0a"
    whole = (picture / "00007.jpg").read_bytes()
    (picture / "00007.jpg").write_bytes(whole[:50])
    run = run_of("ytvos18", tmp_path / "root", tmp_path / "out")
    first = finish(run)
    assert first[0].error
    assert first[1].score is not None

    (picture / "00007.jpg").write_bytes(whole)
    started = len(still.trackers)
    second = finish(run)
    assert len(still.trackers) == started + 1
    assert second[0].error is None
    assert second[1] == first[1]

    with pytest.raises(UserError, match="another flip"):
        finish(replace(run, is_flipped=True))


def test_sizes_and_mirrored_passes_are_added_in_steps_of_255(tmp_path: Path) -> None:
    root = tmp_path / "root"
    pictures(root / "JPEGImages" / "c", range(5))
    masks(root / "Annotations" / "c", (0,))
    run = run_of("folder", root, tmp_path / "out", sizes=(None, 320), is_flipped=True)
    merged = dict(track_clip(FakeEngines(), run, run.dataset.clips[0]))

    total: dict[int, np.ndarray] = {}
    for size in (None, 320):
        for flip in (False, True):
            tracker = FakeEngines().start_tracker(EngineSettings(internal_size=size, memory=SHORT))
            for index in range(5):
                with Image.open(root / "JPEGImages" / "c" / f"{index:05d}.jpg") as opened:
                    picture = np.array(opened.convert("RGB"))
                labels = tiny.labels(0)
                if flip:
                    picture, labels = picture[:, ::-1].copy(), labels[:, ::-1].copy()
                if index:
                    prediction = tracker.track(picture, is_last=index == 4)
                else:
                    tracker.begin()
                    tracker.memorize(0, picture, labels)
                    prediction = tracker.revisit(0, picture)
                part = np.floor(prediction.probabilities().numpy() * 255)
                total[index] = total.get(index, 0) + (part[:, :, ::-1] if flip else part)
    assert sorted(merged) == [f"{index:05d}" for index in range(5)]
    for index, votes in total.items():
        np.testing.assert_array_equal(merged[f"{index:05d}"], votes.argmax(axis=0))
    plain = dict(
        track_clip(
            FakeEngines(), replace(run, sizes=(None,), is_flipped=False), run.dataset.clips[0]
        )
    )
    assert any((plain[name] != merged[name]).any() for name in plain)


def test_two_processes_give_the_masks_of_one_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    youtube(tmp_path / "root")
    (tmp_path / "tiny.safetensors").write_bytes(network_bytes(tiny.network(), {}))
    reports = []
    for jobs in ("1", "2"):
        output = tmp_path / f"out{jobs}"
        line = ["evaluate-dataset", "ytvos18", str(tmp_path / "root"), "--output", str(output)]
        line += ["--model", str(tmp_path / "tiny.safetensors"), "--size", "-1", "--jobs", jobs]
        with pytest.raises(SystemExit) as ended:
            main([*line, "--device", "cpu", "--mem_every", "2", "--json"])
        assert not ended.value.code
        reports.append(json.loads(capsys.readouterr().out))
    for path in sorted((tmp_path / "out1" / "masks").rglob("*.png")):
        other = tmp_path / "out2" / path.relative_to(tmp_path / "out1")
        assert path.read_bytes() == other.read_bytes()
    assert reports[0]["overall"] == reports[1]["overall"]


def test_a_root_of_another_layout_is_refused_with_the_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        find_dataset("davis17", tmp_path / "nothing")
    for kind in ("davis17", "ytvos18", "longvideo"):
        with pytest.raises(UserError, match="JPEGImages"):
            find_dataset(kind, tmp_path)
