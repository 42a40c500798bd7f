"""A propagation from files to files keeps what is done, and goes on as if nothing had happened."""

import dataclasses
import functools
import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from interaction.annotation.mask_files import decode_labels
from interaction.engines import Engines, EngineSettings
from interaction.errors import DiskFullError, EngineMemoryError, UserError
from interaction.files import JsonObject, write_plain
from interaction.tracking import batch as result_folder
from interaction.tracking import unfinished
from interaction.tracking.batch import BatchProgress, BatchSettings, run_batch
from tests import tiny
from xmem_core import MemoryConfig, Tracker, load_xmem, prepare, weights
from xmem_core.arrays import Frame
from xmem_core.network import inference
from xmem_core.pictures import EncodedFrame
from xmem_core.weights import network_bytes

FRAMES = 9
SHORT = MemoryConfig(
    memorize_every=1, min_working_frames=2, max_working_frames=3, prototypes=8, max_long_term=20
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of nine pictures, masks of frame 3 with objects 3 and 200, and a model."""
    folder = tmp_path_factory.mktemp("place")
    tiny.write_clip(folder / "clip", FRAMES)
    tiny.write_mask(folder / "masks", 3, tiny.labels(3, 3, 200))
    (folder / "tiny.safetensors").write_bytes(network_bytes(tiny.network(is_quick=True), {}))
    return folder


@pytest.fixture(autouse=True, scope="module")
def fast() -> Iterator[None]:
    """Each network is read and prepared once for the whole module; nothing writes to it."""
    with tiny.quick_files(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "load_xmem", functools.cache(load_xmem))
        patch.setattr(inference, "prepare", functools.cache(prepare))
        yield


@pytest.fixture
def settings(place: Path, tmp_path: Path) -> BatchSettings:
    return settings_to(tmp_path / "out", place)


def settings_to(output: Path, place: Path) -> BatchSettings:
    return BatchSettings(
        source=place / "clip",
        masks=place / "masks",
        output=output,
        engine=EngineSettings(
            tracker_model=str(place / "tiny.safetensors"),
            device="cpu",
            internal_size=32,
            memory=SHORT,
        ),
        direction="both",
    )


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """What an uninterrupted propagation with `settings` writes."""
    output = tmp_path_factory.mktemp("whole")
    finish(settings_to(output, place))
    return masks_in(output)


def finish(settings: BatchSettings) -> dict[str, Any]:
    report = run_until(settings, None)
    assert report is not None
    return report


def run_until(
    settings: BatchSettings,
    stop_after: int | None,
    watch: Callable[[BatchProgress], None] = lambda step: None,
) -> dict[str, Any] | None:
    """Runs to the end, or asks to stop once `stop_after` frames have their mask."""
    is_asked = False
    steps = run_batch(settings, lambda: is_asked)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            report: dict[str, Any] | None = end.value
            return report
        watch(step)
        is_asked = step.stage == "tracking" and step.done == stop_after


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def changed(settings: BatchSettings, **changes: Any) -> BatchSettings:
    """changes: of the settings, or of their engine's."""
    of_engine = {name: changes.pop(name) for name in {*changes} & {*settings.engine.__slots__}}
    engine = dataclasses.replace(settings.engine, **of_engine)
    return dataclasses.replace(settings, engine=engine, **changes)


# What is written


def test_every_frame_gets_a_mask_named_as_itself(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    steps: list[BatchProgress] = []
    report = run_until(settings, None, steps.append)
    assert report is not None
    names = {f"{index:05d}.png" for index in range(FRAMES)}
    assert set(whole) == names
    assert {path.name for path in settings.output.iterdir()} == {*names, "report.json"}
    assert masks_in(settings.output) == whole  # and a second run gives the same
    np.testing.assert_array_equal(decode_labels(whole["00003.png"]), tiny.labels(3, 3, 200))
    found = {int(i) for data in whole.values() for i in np.unique(decode_labels(data))}
    assert found == {0, 3, 200}
    with Image.open(settings.output / "00000.png") as image:
        assert (image.mode, image.size) == ("P", (tiny.WIDTH, tiny.HEIGHT))
    tracking = [step for step in steps if step.stage == "tracking"]
    assert tracking[-1].done == tracking[-1].total == FRAMES


def test_masks_take_the_names_of_their_pictures(settings: BatchSettings, tmp_path: Path) -> None:
    source = tmp_path / "holiday"
    source.mkdir()
    for index in range(3):
        shutil.copy(settings.source / f"{index:05d}.png", source / f"Strand {index + 8}.png")
    masks = tmp_path / "m"
    masks.mkdir()
    shutil.copy(settings.masks / "00003.png", masks / "Strand 9.png")
    finish(changed(settings, source=source, masks=masks))
    assert set(masks_in(settings.output)) == {"Strand 8.png", "Strand 9.png", "Strand 10.png"}


def test_the_report_says_what_was_done(settings: BatchSettings, place: Path) -> None:
    report = finish(settings)
    assert report == json.loads((settings.output / "report.json").read_text("utf-8"))
    assert report["frames"] == FRAMES
    assert report["objects"] == [3, 200]
    assert report["frames_per_second"] == pytest.approx(FRAMES / report["seconds"], rel=0.05)
    assert {"video", "key", "readout", "decode", "value", "write"} <= set(
        report["seconds_by_stage"]
    )
    assert 0 < sum(report["seconds_by_stage"].values()) <= report["seconds"] + 1
    assert report["peak_memory_bytes"] > 10 * 2**20
    elements = report["memory_elements"]
    assert elements["permanent"] == 2 * 3  # one confirmed frame of 32x40, in cells of 16
    assert 0 < elements["working"] <= 2 * elements["permanent"]
    assert 0 < elements["long_term"] <= SHORT.max_long_term
    assert report["model"] == "tiny.safetensors"
    digest = hashlib.sha256((place / "tiny.safetensors").read_bytes()).hexdigest()
    assert report["model_sha256"] == digest
    assert (report["device"], report["internal_size"]) == ("cpu", 32)


def test_only_the_range_gets_masks(settings: BatchSettings) -> None:
    report = finish(changed(settings, direction="forward", start=4, end=6))
    assert set(masks_in(settings.output)) == {"00004.png", "00005.png", "00006.png"}
    assert report["frames"] == 3


def test_probabilities_are_saved_with_the_ids_of_their_objects(settings: BatchSettings) -> None:
    finish(changed(settings, saves_probabilities=True, direction="forward"))
    for index in range(3, FRAMES):
        with np.load(settings.output / f"{index:05d}.npz") as saved:
            probabilities, objects = saved["probabilities"], saved["objects"]
        assert probabilities.dtype == np.float16
        assert probabilities.shape == (3, tiny.HEIGHT, tiny.WIDTH)
        assert objects.dtype == np.uint8
        assert objects.tolist() == [3, 200]
        np.testing.assert_allclose(probabilities.astype(float).sum(axis=0), 1, atol=2e-3)
        labels = decode_labels((settings.output / f"{index:05d}.png").read_bytes())
        likeliest = np.array([0, 3, 200])[probabilities.argmax(axis=0)]
        assert (likeliest == labels).mean() > 0.99  # float16 makes ties


def test_a_late_object_s_probabilities_begin_with_it(
    settings: BatchSettings, tmp_path: Path
) -> None:
    masks = tmp_path / "late"
    tiny.write_mask(masks, 0, tiny.labels(0, 0, 0))
    tiny.write_mask(masks, 1, tiny.labels(1, 3, 0))
    tiny.write_mask(masks, 3, tiny.labels(3, 3, 200))
    finish(changed(settings, masks=masks, saves_probabilities=True, direction="forward", end=4))
    ids = {}
    for index in range(5):
        with np.load(settings.output / f"{index:05d}.npz") as saved:
            ids[index] = saved["objects"].tolist()
            assert saved["probabilities"].shape == (1 + len(ids[index]), 48, 60)
    assert ids == {0: [], 1: [3], 2: [3], 3: [3, 200], 4: [3, 200]}


def test_pictures_beside_the_masks_are_asked_about(settings: BatchSettings, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    shutil.copytree(settings.masks, masks)
    shutil.copy(masks / "00003.png", masks / "overview.png")
    with pytest.raises(UserError, match=r"overview\.png"):
        finish(changed(settings, masks=masks))
    (masks / "overview.png").rename(tmp_path / "overview.png")
    steps: list[BatchProgress] = []
    run_until(changed(settings, masks=tmp_path / "overview.png", frame=3), 1, steps.append)
    assert steps[-1].done == 1


# What is refused


def test_masks_that_are_there_are_not_replaced_unasked(settings: BatchSettings) -> None:
    settings.output.mkdir()
    (settings.output / "00005.png").write_bytes(b"hours of work")
    with pytest.raises(UserError, match=r"(?s)already holds masks for 1 .*00005.*--overwrite"):
        finish(settings)
    assert everything_in(settings.output) == {"00005.png": b"hours of work"}

    finish(changed(settings, start=6))  # does not touch it
    assert (settings.output / "00005.png").read_bytes() == b"hours of work"
    finish(changed(settings, overwrites=True))
    assert decode_labels((settings.output / "00005.png").read_bytes()).shape == (48, 60)


@pytest.mark.parametrize("folder", ["clip", "masks"])
def test_results_never_go_where_the_frames_or_the_masks_are(
    settings: BatchSettings, place: Path, folder: str
) -> None:
    before = everything_in(place / folder)
    output = place / "clip" / ".." / folder  # by another name
    for how in ({}, {"overwrites": True}, {"resumes": True}):
        with pytest.raises(UserError, match=r"lie in the folder.*\n\n.*--output"):
            finish(changed(settings, output=output, **how))
    assert everything_in(place / folder) == before


def test_masks_without_any_object_are_refused(settings: BatchSettings, tmp_path: Path) -> None:
    tiny.write_mask(tmp_path / "empty", 2, tiny.labels(2, 0, 0))
    with pytest.raises(UserError, match="all empty"):
        finish(changed(settings, masks=tmp_path / "empty"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracker_model": "nonesuch"}, "nonesuch"),
        ({"device": "abacus"}, "abacus"),
        ({"source": Path("nowhere.mp4")}, "nowhere.mp4"),
        ({"masks": Path("nowhere")}, "nowhere"),
        ({"start": 99}, "--start 99"),
    ],
)
def test_what_is_not_there_is_reported_and_nothing_is_written(
    settings: BatchSettings, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        finish(changed(settings, **change))
    assert not settings.output.exists() or everything_in(settings.output) == {}


def test_an_output_that_cannot_be_a_folder_is_reported(settings: BatchSettings) -> None:
    settings.output.write_text("a file")
    with pytest.raises(UserError, match="out"):
        finish(settings)


# Stopping and going on


@pytest.mark.parametrize("stop_after", [1, 5, 6, 7, 9])  # the way back begins after 6
def test_a_stopped_propagation_goes_on_to_the_very_same_files(
    settings: BatchSettings, whole: Mapping[str, bytes], stop_after: int
) -> None:
    assert run_until(settings, stop_after) is None
    done = masks_in(settings.output)
    assert len(done) == stop_after
    assert done.items() <= whole.items()
    assert not (settings.output / "report.json").exists()

    counts: list[int] = []
    report = run_until(
        changed(settings, resumes=True),
        None,
        lambda step: counts.append(step.done) if step.stage == "tracking" else None,
    )
    assert report is not None
    assert masks_in(settings.output) == whole
    assert {path.name for path in settings.output.iterdir()} == {*whole, "report.json"}
    assert report["frames"] == FRAMES
    silent = [6] if stop_after <= 6 else []  # the frame that sets the way back going
    assert sorted(counts) == sorted([*range(stop_after + 1, FRAMES + 1), *silent])


@pytest.mark.parametrize("stop_after", [1, 3, 4, 7, 8])  # before, on and after a damaged frame
def test_a_stopped_propagation_goes_on_over_damaged_frames(
    settings: BatchSettings, place: Path, tmp_path: Path, stop_after: int
) -> None:
    """Frames 1 and 5, one on each way from frame 3, cannot be decoded."""
    clip = shutil.copytree(place / "clip", tmp_path / "clip")
    for picture in np.array(sorted(clip.iterdir()))[[1, 5]]:
        picture.write_bytes(picture.read_bytes()[:-40])
    settings = changed(settings, source=clip)
    report = finish(changed(settings, output=tmp_path / "whole"))
    assert report["undecodable_frames"] == [1, 5]
    assert run_until(settings, stop_after) is None
    report = finish(changed(settings, resumes=True))
    assert (report["frames"], report["undecodable_frames"]) == (FRAMES, [1, 5])
    assert masks_in(settings.output) == masks_in(tmp_path / "whole")


def test_stopping_between_the_ways_and_on_the_silent_frame_loses_nothing(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    """The frame that sets the way back going gives no file of its own."""
    is_resumed = False
    for _ in range(20):  # stop after every single step
        steps = run_batch(changed(settings, resumes=is_resumed), lambda: False)
        try:
            while next(steps).stage != "tracking":
                pass
        except StopIteration:
            break
        steps.close()
        is_resumed = True
    assert masks_in(settings.output) == whole
    assert (settings.output / "report.json").exists()


def test_closing_the_generator_is_stopping(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    steps = run_batch(settings, lambda: False)
    while next(steps).done != 4 or not (settings.output / "00006.png").exists():
        pass
    steps.close()
    assert len(masks_in(settings.output)) == 4
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole


def test_stopping_before_the_first_frame_leaves_nothing_behind(settings: BatchSettings) -> None:
    steps = run_batch(settings, lambda: True)
    assert next(steps).stage == "memorising masks"
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value is None
    assert everything_in(settings.output) == {}


def test_resuming_where_nothing_was_begun_begins(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"internal_size": 48}, "another internal size"),
        ({"memory": dataclasses.replace(SHORT, top_k=7)}, "another memory setting"),
        ({"direction": "forward"}, "another range"),
        ({"end": 7}, "another range"),
        ({"are_masks_partial": True}, "another set of masks"),
        ({"internal_size": 48, "end": 7}, "another internal size and another range"),
    ],
)
def test_going_on_with_other_settings_is_refused(
    settings: BatchSettings, change: dict[str, Any], message: str
) -> None:
    run_until(settings, 2)
    before = everything_in(settings.output)
    with pytest.raises(UserError, match=f"(?s){message}.*--overwrite"):
        finish(changed(settings, resumes=True, **change))
    assert everything_in(settings.output) == before


def test_going_on_with_another_model_mask_or_source_is_refused(
    settings: BatchSettings, tmp_path: Path
) -> None:
    run_until(settings, 2)
    (tmp_path / "tiny.safetensors").write_bytes(
        network_bytes(tiny.network(seed=1, is_quick=True), {})
    )
    tiny.write_mask(tmp_path / "masks", 3, tiny.labels(4, 3, 200))
    shutil.copytree(settings.source, tmp_path / "clip")
    before = everything_in(settings.output)
    for change, message in (
        ({"tracker_model": str(tmp_path / "tiny.safetensors")}, "another model"),
        ({"masks": tmp_path / "masks"}, "another set of masks"),
        ({"source": tmp_path / "clip"}, "another source"),
    ):
        with pytest.raises(UserError, match=message):
            finish(changed(settings, resumes=True, **change))
        assert everything_in(settings.output) == before


@pytest.mark.parametrize("damage", [b"", b"not a state", None])
def test_a_damaged_unfinished_state_is_reported(
    settings: BatchSettings, damage: bytes | None
) -> None:
    run_until(settings, 2)
    [state] = settings.output.glob("unfinished*")
    state.write_bytes(state.read_bytes()[:-7] if damage is None else damage)
    before = everything_in(settings.output)
    with pytest.raises(UserError, match=r"(?s)cannot be read.*--overwrite"):
        finish(changed(settings, resumes=True))
    assert everything_in(settings.output) == before


def test_no_damage_of_an_unfinished_state_is_gone_on_with(settings: BatchSettings) -> None:
    run_until(settings, 2)
    [state] = settings.output.glob("unfinished*")
    sound = state.read_bytes()
    for number in range(40):
        at = number * (len(sound) - 1) // 39
        state.write_bytes(sound[:at] + bytes([sound[at] ^ 0x55]) + sound[at + 1 :])
        with pytest.raises(UserError):
            finish(changed(settings, resumes=True))
    state.write_bytes(sound)
    finish(changed(settings, resumes=True))


def test_overwriting_forgets_an_unfinished_propagation(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    run_until(changed(settings, internal_size=48), 2)
    finish(changed(settings, overwrites=True))
    assert masks_in(settings.output) == whole
    assert not list(settings.output.glob("unfinished*"))


# Trouble


def failing_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full once `count` masks are written."""
    written: list[Path] = []

    def write_or_fail(path: Path, data: bytes, *, is_forced: bool = True) -> None:
        if path.suffix == ".png":
            if len(written) == count:
                raise DiskFullError(path)
            written.append(path)
        write_plain(path, data, is_forced=is_forced)

    monkeypatch.setattr(result_folder, "write_plain", write_or_fail)


def test_a_full_disk_keeps_what_is_done_and_saves_no_wrong_position(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        failing_after(4, patch)
        with pytest.raises(DiskFullError, match="disk is full"):
            finish(settings)
    done = masks_in(settings.output)
    assert len(done) == 4
    assert done.items() <= whole.items()
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole


def test_there_is_nothing_to_resume_in_a_finished_folder(
    settings: BatchSettings, whole: Mapping[str, bytes]
) -> None:
    finish(settings)
    before = everything_in(settings.output)
    with pytest.raises(UserError, match="no interrupted propagation"):
        finish(changed(settings, resumes=True))
    assert everything_in(settings.output) == before


def test_an_interrupted_propagation_is_not_thrown_away_unasked(settings: BatchSettings) -> None:
    run_until(changed(settings, end=5), 2)
    before = everything_in(settings.output)
    with pytest.raises(UserError, match="already holds"):
        finish(changed(settings, start=6))
    assert everything_in(settings.output) == before


def test_an_interrupted_propagation_is_there_until_another_has_a_mask_to_write(
    settings: BatchSettings, whole: Mapping[str, bytes], tmp_path: Path
) -> None:
    run_until(settings, 4)
    (tmp_path / "other.safetensors").write_bytes(b"no network")
    other = str(tmp_path / "other.safetensors")
    with pytest.raises(UserError):
        finish(changed(settings, tracker_model=other, overwrites=True))
    steps = run_batch(changed(settings, overwrites=True), lambda: True)
    assert [step.stage for step in steps] == ["memorising masks"]
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole


def test_a_mistyped_model_leaves_no_folder(settings: BatchSettings) -> None:
    with pytest.raises(UserError):
        finish(changed(settings, tracker_model="smal"))
    assert not settings.output.exists()


@pytest.mark.parametrize("written", [1, 3, 7])
def test_after_a_full_disk_it_goes_on_from_the_last_saved_position(
    settings: BatchSettings, whole: Mapping[str, bytes], written: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfinished, "_SAVE_EVERY_S", 0.0)
        patch.setattr(unfinished, "_SAVE_SHARE", 1e9)
        failing_after(written, patch)
        with pytest.raises(DiskFullError):
            finish(settings)
    counts: list[int] = []
    run_until(
        changed(settings, resumes=True),
        None,
        lambda step: counts.append(step.done) if step.stage == "tracking" else None,
    )
    assert counts[0] == written + 1
    assert masks_in(settings.output) == whole


def test_a_position_older_than_the_newest_mask_gives_the_same_masks(
    settings: BatchSettings, whole: Mapping[str, bytes], tmp_path: Path
) -> None:
    """As a power cut leaves it."""
    run_until(settings, 4)
    [state] = settings.output.glob("unfinished*")
    shutil.copy(state, tmp_path / "older")
    run_until(changed(settings, resumes=True), 7)
    shutil.copy(tmp_path / "older", state)
    report = finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole
    assert report["frames"] == FRAMES


ENCODE = Tracker.encode


def full_at(*calls: int) -> Callable[[Tracker, Sequence[Frame]], list[EncodedFrame]]:
    """In place of `Tracker.encode`: the device is full at these calls, as a GPU would be."""
    count = itertools.count(1)

    def encode(tracker: Tracker, frames: Sequence[Frame]) -> list[EncodedFrame]:
        if next(count) in calls:
            raise torch.OutOfMemoryError("full")
        return ENCODE(tracker, frames)

    return encode


@pytest.mark.parametrize("stop_after", [None, 5])
def test_on_a_full_device_it_goes_on_with_smaller_settings_from_the_same_frame(
    settings: BatchSettings,
    whole: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int | None,
) -> None:
    monkeypatch.setattr(Tracker, "encode", full_at(3))
    remarks: list[str] = []
    report = run_until(
        settings, stop_after, lambda step: remarks.append(step.remark) if step.remark else None
    )
    if stop_after is not None:
        assert report is None
        report = run_until(changed(settings, resumes=True), None)
    assert ["one object at a time" in remark for remark in remarks] == [True]
    assert report is not None
    assert report["frames"] == FRAMES
    masks = masks_in(settings.output)
    assert masks.keys() == whole.keys()
    for name in ("00003.png", "00004.png"):  # finished before, or given
        assert masks[name] == whole[name]


def until_the_device_is_full(
    settings: BatchSettings, monkeypatch: pytest.MonkeyPatch
) -> Generator[BatchProgress, None, JsonObject | None]:
    monkeypatch.setattr(Tracker, "encode", full_at(5))
    steps = run_batch(settings, lambda: False)
    while next(steps).remark is None:
        pass
    return steps


def test_what_a_smaller_tracker_holds_before_its_first_frame_is_not_gone_on_with(
    settings: BatchSettings, whole: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = until_the_device_is_full(settings, monkeypatch)
    assert next(steps).stage == "memorising masks"
    steps.close()
    monkeypatch.setattr(Tracker, "encode", ENCODE)
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole


def test_closing_at_a_full_device_starts_no_tracker(
    settings: BatchSettings, whole: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = until_the_device_is_full(settings, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Engines, "start_tracker", lambda *_: pytest.fail("a tracker was started"))
        steps.close()
    monkeypatch.setattr(Tracker, "encode", ENCODE)
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole


def test_the_masks_to_memorise_are_counted_without_those_that_teach_nothing(
    settings: BatchSettings, tmp_path: Path
) -> None:
    shutil.copytree(settings.masks, tmp_path / "masks")
    tiny.write_mask(tmp_path / "masks", 1, np.zeros_like(tiny.labels(1)))
    counts: list[tuple[int, int]] = []
    run_until(
        changed(settings, masks=tmp_path / "masks", direction="forward"),
        None,
        lambda step: counts.append((step.done, step.total)) if "memo" in step.stage else None,
    )
    assert counts == [(1, 1)]


def test_a_tracker_that_cannot_be_saved_tracks_and_is_not_gone_on_with(
    settings: BatchSettings, whole: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a plug-in's need not be able to. An earlier run is not gone on with in its place."""
    run_until(settings, 3)
    monkeypatch.delattr(Tracker, "run_state")
    run_until(changed(settings, overwrites=True), 3)
    with pytest.raises(UserError, match="no interrupted propagation"):
        finish(changed(settings, resumes=True))
    finish(changed(settings, overwrites=True))
    assert masks_in(settings.output) == whole


def test_a_device_that_stays_full_ends_it_and_keeps_what_is_finished(
    settings: BatchSettings, whole: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tracker, "encode", full_at(*range(3, 99)))
    with pytest.raises(EngineMemoryError):
        finish(settings)
    done = masks_in(settings.output)
    assert len(done) == 1
    assert done.items() <= whole.items()
    monkeypatch.setattr(Tracker, "encode", ENCODE)
    finish(changed(settings, resumes=True))
    assert masks_in(settings.output) == whole
