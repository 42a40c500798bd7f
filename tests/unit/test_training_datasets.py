"""Clips of the public data sets, on made-up folders in their layouts."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.unit.test_training_resume import TINY, batch_of, pretend_imagenet, tracker_run
from training.__main__ import main
from training.checkpoints import read_checkpoint, write_weights
from training.clicks.samples import draw_samples
from training.clicks.task import ClickTask, clip_maker
from training.composer import Clip
from training.config import (
    ClickStage,
    ClickTraining,
    DataName,
    TrackerStage,
    TrackerTraining,
    config_from,
    read_config,
)
from training.data import drawn_data, entry_at, open_data
from training.datasets.augmentation import (
    Colour,
    bent,
    moved,
    random_affine,
    random_box,
    resized,
)
from training.datasets.clips import StaticClips, drawn_wide, frame_indices, objects_of
from training.datasets.layouts import (
    Pair,
    davis_videos,
    find_pairs,
    find_photographs,
    plain_videos,
    read_pair,
)
from training.datasets.photographs import (
    PhotographClips,
    filled,
    usable_instances,
)
from training.pack import part_of
from training.preparation.working_pack import build_working_pack
from training.run import Run, rate_factor
from training.trunk_weights import start_from_resnets
from xmem_core.learning.losses import dice
from xmem_core.learning.unroll import track_clip
from xmem_core.network.config import NetworkConfig
from xmem_core.network.xmem import XMem
from xmem_core.weights import load_xmem, read_header

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
STAGE = TrackerStage(
    steps=2,
    size=32,
    frames=4,
    batch=2,
    learning_rate=1e-4,
    key_trunk_rate=1.0,
    value_trunk_rate=1.0,
    memorized_share=1.0,
    references=2,
    deep_update_share=0.2,
    data="davis",
)


def write_video(
    pictures: Path, masks: Path, frames: int, objects: int, *, step: int = 1, size: int = 48
) -> None:
    """Noise over which squares of one colour an object move to the right; palette masks."""
    rng = np.random.default_rng(frames + objects)
    pictures.mkdir(parents=True)
    masks.mkdir(parents=True)
    for frame in range(frames):
        picture = rng.integers(0, 60, (size, 2 * size, 3), dtype=np.uint8)
        labels = np.zeros((size, 2 * size), np.uint8)
        for label in range(1, objects + 1):
            top, left = (label - 1) * size // objects, 8 + frame
            area = np.s_[top : top + size // objects - 1, left : left + size]
            picture[area], labels[area] = 30 * label + 80, label
        name = f"{frame * step:05}"
        cv2.imwrite(str(pictures / f"{name}.jpg"), picture)
        image = Image.fromarray(labels, mode=None)
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 9, 9, 9, 5, 5, 5])
        image.save(masks / f"{name}.png")


def write_static(folder: Path, picture_name: str, mask_name: str, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 90, (50, 70, 3), dtype=np.uint8)
    mask = np.zeros((50, 70), np.uint8)
    cv2.circle(mask, (35, 25), 18, 255, -1)
    picture[mask > 0] = 230
    for name, what in ((picture_name, picture), (mask_name, mask)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / name), what)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    davis = root / "davis"
    for name, objects in (("bear", 1), ("dogs", 2), ("crowd", 5), ("goat", 1)):
        write_video(davis / "JPEGImages/480p" / name, davis / "Annotations/480p" / name, 6, objects)
    (davis / "ImageSets/2017").mkdir(parents=True)
    (davis / "ImageSets/2017/train.txt").write_text("bear\ndogs\ncrowd\n", encoding="utf-8")
    (davis / "ImageSets/2017/val.txt").write_text("goat\n", encoding="utf-8")
    for name in ("0043f083b5", "short"):
        frames = 5 if name != "short" else 2
        youtube = root / "youtube"
        write_video(
            youtube / "JPEGImages" / name, youtube / "Annotations" / name, frames, 2, step=5
        )
    extra = root / "youtube/JPEGImages/0043f083b5/00001.jpg"  # a frame without a mask
    cv2.imwrite(str(extra), np.zeros((48, 96, 3), np.uint8))
    write_video(root / "bl30k/JPEGImages/a_1", root / "bl30k/Annotations/a_1", 5, 1, size=64)
    static = root / "static"
    write_static(static, "fss/gas_mask/1.jpg", "fss/gas_mask/1.png")
    write_static(static, "ecssd/0001.jpg", "ecssd/0001.png", 1)
    write_static(static, "DUTS/DUTS-TR-Image/a.jpg", "DUTS/DUTS-TR-Mask/a.png", 2)
    write_static(static, "BIG_small/x_im.jpg", "BIG_small/x_gt.png", 3)
    write_static(static, "HRSOD/HRSOD_train/b.jpg", "HRSOD/HRSOD_train_mask/b.png", 4)
    write_static(static, "ECSSD-first/images/c.jpg", "ECSSD-first/ground_truth_mask/c.png", 5)
    return root


@pytest.fixture
def config(roots: Path) -> TrackerTraining:
    return TrackerTraining(
        stages=(replace(STAGE, data="static", steps=1, frames=3), replace(STAGE, steps=1)),
        static_root=str(roots / "static"),
        davis_root=str(roots / "davis"),
        youtube_root=str(roots / "youtube"),
        bl30k_root=str(roots / "bl30k"),
        network=TINY,
        warm_up_steps=0,
        final_rate=1.0,
        average_decay=0.0,
        gradient_limit=float("inf"),
        evaluate_every=1,
        evaluation_clips=2,
        evaluation_size=32,
        evaluation_frames=3,
    )


# What is found


def test_static_pairs_are_found_in_every_layout_and_fine_sets_count_five_times(
    roots: Path,
) -> None:
    found = {
        pair.picture.name: pair.mask.name
        for folder in (roots / "static").iterdir()
        for pair in find_pairs(folder)
    }
    assert found == {
        "1.jpg": "1.png",
        "0001.jpg": "0001.png",
        "a.jpg": "a.png",
        "x_im.jpg": "x_gt.png",
        "b.jpg": "b.png",
        "c.jpg": "c.png",
    }
    assert len(StaticClips(roots / "static", "training")) == 4 + 5 + 5


def test_davis_is_read_by_its_lists_and_youtube_by_its_folders(roots: Path) -> None:
    training = [video.name for video in davis_videos(roots / "davis", "training")]
    assert training == ["bear", "crowd", "dogs"]
    assert [video.name for video in davis_videos(roots / "davis", "held out")] == ["goat"]
    youtube = plain_videos(roots / "youtube", "training")
    assert [len(video.frames) for video in youtube] == [5, 2]
    assert [pair.picture.stem for pair in youtube[0].frames][:2] == ["00000", "00005"]


def test_a_list_cannot_name_folders_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/train.txt").write_text("../../secret\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not the name"):
        davis_videos(tmp_path, "training")


def test_large_sets_hold_some_back_and_small_ones_are_used_whole() -> None:
    assert part_of(3, "training") == part_of(3, "held out") == [0, 1, 2]
    assert part_of(101, "held out") == [0, 50, 100]
    assert sorted(part_of(101, "held out") + part_of(101, "training")) == list(range(101))


@pytest.mark.parametrize("data", ["static", "davis", "youtube", "bl30k"])
def test_missing_data_is_named(tmp_path: Path, data: DataName) -> None:
    away = config_from({"stages": [asdict(STAGE)], f"{data}_root": str(tmp_path / "away")})
    with pytest.raises(ValueError, match=f"{data}_root.*away"):
        open_data(away, data, "training")


# Clips


@pytest.mark.parametrize("data", ["static", "davis", "youtube", "davis+youtube", "bl30k"])
def test_clips_follow_from_the_seed_and_show_their_objects_first(
    config: TrackerTraining, data: DataName
) -> None:
    stage = replace(STAGE, data=data, frames=3, merge_share=0.3)
    clips = open_data(config, stage.data, "training")
    for entry in range(len(clips)):
        one, again = (clips.clip(entry, np.random.default_rng(entry), stage) for _ in "ab")
        np.testing.assert_array_equal(one.frames, again.frames)
        np.testing.assert_array_equal(one.labels, again.labels)
        assert one.frames.shape == (3, 32, 32, 3)
        assert one.labels.shape == (3, 32, 32)
        assert one.frames.dtype == one.labels.dtype == np.uint8
        assert 1 <= one.object_count <= (1 if data == "static" else 3)
        assert set(np.unique(one.labels[0])) - {0} == set(range(1, one.object_count + 1))


def test_masks_move_with_their_pictures(config: TrackerTraining) -> None:
    cases: tuple[tuple[DataName, int], ...] = (("static", 150), ("bl30k", 75))
    for data, bright in cases:
        stage = replace(STAGE, data=data, size=64, frames=3)
        clips = open_data(config, stage.data, "training")
        for seed in range(4):
            clip = clips.clip(0, np.random.default_rng(seed), stage)
            seen = clip.frames.mean(axis=3) > bright
            filled = (clip.frames == (124, 116, 104)).all(axis=3)
            # Where the picture has ended there is a middling grey of no object.
            agree = (seen == (clip.labels > 0)) | (np.abs(clip.frames - 115.0) < 25).all(axis=3)
            assert agree[~filled].mean() > 0.93


def test_frames_are_near_each_other_and_reach_far() -> None:
    rng = np.random.default_rng(0)
    largest = 0
    for _ in range(200):
        indices = frame_indices(rng, 60, 8, 5)
        assert len(set(indices)) == 8
        gaps = np.diff(indices)
        assert gaps.min() >= 1
        assert gaps.max() <= 5
        largest = max(largest, int(gaps.max()))
    assert largest == 5
    assert frame_indices(rng, 8, 8, 1) == list(range(8))


def test_youtube_gaps_count_its_unmasked_frames(
    config: TrackerTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def record(rng: np.random.Generator, count: int, wanted: int, gap: int) -> list[int]:
        asked.append(gap)
        return frame_indices(rng, count, wanted, gap)

    monkeypatch.setattr("training.datasets.clips.frame_indices", record)
    cases: tuple[tuple[DataName, int, int], ...] = (
        ("youtube", 10, 2),
        ("youtube", 3, 1),
        ("davis", 10, 10),
    )
    for data, largest_gap, expected in cases:
        asked.clear()
        stage = replace(STAGE, data=data, largest_gap=largest_gap)
        open_data(config, stage.data, "training").clip(0, np.random.default_rng(0), stage)
        assert set(asked) == {expected}


def test_specks_and_what_grows_are_not_learned_from_bl30k() -> None:
    masks = np.zeros((2, 100, 100), np.int16)
    masks[0, :40, :40] = 1
    masks[0, 50:62, 50:62], masks[1, 50:62, 50:62] = 2, 2  # small for good
    masks[0, 70:82, 70:82], masks[1, 70:95, 70:95] = 3, 3  # grows
    masks[0, 90:95, :5] = 4  # a speck
    masks[0, 0, 99] = 255
    assert objects_of(masks, skips_tiny=True) == [1, 2]
    assert objects_of(masks, skips_tiny=False) == [1, 2, 3, 4]


def test_every_entry_comes_once_an_epoch() -> None:
    entries = [entry_at((1, 2), position, 7) for position in range(21)]
    epochs = [entries[start : start + 7] for start in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_masks_that_do_not_fit_or_are_in_colour_are_refused(tmp_path: Path) -> None:
    write_static(tmp_path, "a.jpg", "a.png")
    Image.new("L", (9, 9)).save(tmp_path / "small.png")
    Image.new("RGB", (70, 50)).save(tmp_path / "colour.png")
    (tmp_path / "broken.png").write_bytes(b"no")
    for name, message in (
        ("small", "9x9"),
        ("colour", "mode is RGB"),
        ("broken", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=message):
            read_pair(Pair(tmp_path / "a.jpg", tmp_path / f"{name}.png"))
    with pytest.raises(ValueError, match="as a picture"):
        read_pair(Pair(tmp_path / "none.jpg", tmp_path / "a.png"))


# Augmentation


def test_boxes_stay_inside_and_are_large_enough() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        box = random_box(rng, 480, 854, 0.36)
        assert box.left >= 0
        assert box.left + box.width <= 854
        assert box.top >= 0
        assert box.top + box.height <= 480
        assert box.width * box.height >= 0.35 * 480 * 854
    narrow = random_box(rng, 10, 1000, 1.0)
    assert (narrow.width, narrow.height) == (13, 10)


def test_moves_are_about_the_middle_and_by_nothing_change_nothing() -> None:
    rng = np.random.default_rng(2)
    matrix = random_affine(rng, 65, 33, degrees=15, shear_degrees=10, scale=0.1)
    np.testing.assert_allclose(matrix @ [32, 16, 1], [32, 16, 1])
    still = random_affine(rng, 65, 33, degrees=0, shear_degrees=0)
    np.testing.assert_allclose(still, np.eye(3), atol=1e-12)
    picture = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, (32, 32)).astype(np.int16)
    for seen, mask in (
        moved(picture, labels, np.eye(3), 32),
        resized(picture, labels, 32, 32),
    ):
        np.testing.assert_array_equal(seen, picture)
        np.testing.assert_array_equal(mask, labels)


def test_bending_moves_mask_and_picture_alike() -> None:
    labels = np.zeros((64, 64), np.int16)
    labels[20:44, 20:44] = 1
    picture = np.repeat((labels * 200).astype(np.uint8)[..., None], 3, axis=2)
    seen, mask = bent(np.random.default_rng(4), picture, labels)
    assert (mask != labels).any()
    assert ((seen[..., 0] > 150) == (mask == 1))[4:-4, 4:-4].mean() > 0.97


def test_colour_by_hand() -> None:
    picture = np.array([[[100, 100, 100], [200, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(Colour(1, 1, 1).of(picture), picture)
    np.testing.assert_array_equal(Colour(0.5, 1, 1).of(picture), picture // 2)
    np.testing.assert_array_equal(Colour(1, 1, 0).of(picture)[0, 1], [60, 60, 60])
    grey = [Colour.random(np.random.default_rng(s), 0.1, 0.1, 0.1, 0.05) for s in range(400)]
    assert 5 <= sum(colour.saturation == 0 for colour in grey) <= 40


# Training


def test_absent_objects_count_nothing() -> None:
    probabilities = torch.tensor([[[[0.5, 0.8]], [[0.5, 0.2]], [[0.0, 0.0]]]])
    labels = torch.tensor([[[1, 0]]])
    present = torch.tensor([[True, False]])
    alone = dice(probabilities[:, :2], labels)
    torch.testing.assert_close(dice(probabilities, labels, present), alone)

    torch.manual_seed(1)
    network = XMem(TINY).eval()
    frames = torch.randint(0, 255, (1, 3, 3, 32, 32))
    first = torch.zeros(1, 32, 32, dtype=torch.long)
    first[:, 8:24, 8:24] = 1
    with torch.no_grad():
        one = track_clip(network, frames, first, 1, (1,))
        padded = track_clip(network, frames, first, 2, (1,), present=present)
    torch.testing.assert_close(padded[:, :, :2], one, atol=1e-4, rtol=0)
    assert float(padded[:, :, 2].max()) < 1e-4


def test_only_the_references_are_read_and_only_deep_frames_refresh() -> None:
    torch.manual_seed(2)
    network = XMem(TINY).eval()
    frames = torch.randint(0, 255, (1, 4, 3, 32, 32))
    first = torch.zeros(1, 32, 32, dtype=torch.long)
    first[:, 8:24, 8:24] = 1
    with torch.no_grad():
        whole = track_clip(network, frames, first, 1, (1, 2))
        same = track_clip(
            network, frames, first, 1, (1, 2), references=((0,), (0, 1), (0, 1, 2)), deep=(1, 2)
        )
        first_only = track_clip(network, frames, first, 1, (1, 2), references=((0,),) * 3)
        shallow = track_clip(network, frames, first, 1, (1, 2), deep=())
    torch.testing.assert_close(same, whole)
    assert not torch.allclose(first_only, whole)
    assert not torch.allclose(shallow, whole)


def test_choices_are_the_same_on_every_process_and_clips_are_not(config: TrackerTraining) -> None:
    ours, theirs = (batch_of(config, 1, rank, 2) for rank in range(2))
    assert ours.memorized == theirs.memorized == (1, 2)
    assert ours.references == theirs.references
    assert ours.deep == theirs.deep
    assert ours.references[0] == (0,)
    assert all(read[0] == 0 and len(read) <= 2 for read in ours.references)
    assert not torch.equal(ours.frames, theirs.frames)


def test_two_steps_on_pictures_and_videos_resume_to_the_very_same_weights(
    config: TrackerTraining, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    torch.save(pretend_imagenet(), tmp_path / "trunk.pth")
    config = replace(config, trunk_weights=str(tmp_path / "trunk.pth"))
    tracker_run(config, tmp_path / "whole").advance()
    tracker_run(config, tmp_path / "parts").advance(until=1)
    tracker_run(config, tmp_path / "parts").advance()

    whole, parts = read_checkpoint(tmp_path / "whole"), read_checkpoint(tmp_path / "parts")
    assert whole is not None
    assert parts is not None
    for name, tensor in whole["network"].items():
        torch.testing.assert_close(parts["network"][name], tensor, rtol=0, atol=0)
        # Without a moving average, what is kept is the newest.
        torch.testing.assert_close(whole["average"][name], tensor, rtol=0, atol=0)
    with (tmp_path / "whole" / "curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert all(float(row["learning_rate"]) == pytest.approx(1e-4) for row in rows)
    write_weights(tmp_path / "whole", tmp_path / "tracker.safetensors")
    metadata = read_header(tmp_path / "tracker.safetensors")
    assert "DAVIS" in metadata["data"]
    assert "no real video" not in metadata["data"]
    assert str(tmp_path) not in metadata["training"]
    assert config.davis_root not in metadata["training"]


def test_the_command_trains_on_data_sets_named_on_the_command_line(
    roots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(pretend_imagenet(), tmp_path / "trunk.pth")
    network = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__}
    text = "evaluation_clips = 1\nevaluation_size = 32\nevaluation_frames = 3\n[network]\n"
    text += "".join(
        f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}\n"
        for name, value in network.items()
    )
    text += '[[stages]]\ndata = "davis+youtube"\nsteps = 1\nsize = 32\nframes = 3\nbatch = 1\n'
    text += "learning_rate = 1e-4\nreferences = 3\n"
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    arguments = [tmp_path / "run.toml", "--output", tmp_path / "run"]
    arguments += ["--trunk-weights", tmp_path / "trunk.pth"]
    arguments += ["--davis-root", roots / "davis", "--youtube-root", roots / "youtube"]
    monkeypatch.setattr(sys, "argv", ["training", "run", *map(str, arguments)])
    main()
    content = read_checkpoint(tmp_path / "run")
    assert content is not None
    assert content["step"] == 1
    assert load_xmem(tmp_path / "run" / "weights.safetensors").config == TINY


def test_the_published_schedules_are_valid_and_add_up() -> None:
    totals = {"s0": 150_000, "s01": 250_000, "s012": 160_000, "s03": 110_000, "s2": 160_000}
    for name, total in totals.items():
        config = read_config(CONFIGS / f"published_{name}.toml", {})
        assert isinstance(config, TrackerTraining)
        assert config.network == NetworkConfig.published()
        assert config.total_steps == total
        assert config_from(config.as_dict()) == config
        assert int(config.bootstrap_start * total) == pytest.approx(20_000, abs=1)
        assert int(config.bootstrap_end * total) == pytest.approx(70_000, abs=1)
        assert rate_factor(0, config) == rate_factor(total, config) == 1.0
        assert bool(config.start_from) != bool(config.trunk_weights)
        assert {stage.size for stage in config.stages} == {384}
    short = read_config(CONFIGS / "published_s03.toml", {})
    assert isinstance(short, TrackerTraining)
    at = {step: short.stages[short.stage_at(step)] for step in (0, 11_000, 79_999, 80_000, 105_000)}
    assert [stage.largest_gap for stage in at.values()] == [5, 10, 15, 15, 5]
    assert [stage.learning_rate for stage in at.values()] == [1e-5, 1e-5, 1e-5, 1e-6, 1e-6]
    assert [stage.is_gentle for stage in at.values()] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"data": "imagenet"}, "data must be"),
        ({"references": -1}, "references"),
        ({"largest_gap": 0}, "largest_gap"),
        ({"deep_update_share": 1.5}, "deep_update_share"),
    ],
)
def test_a_wrong_stage_is_refused_by_name(change: dict[str, object], names: str) -> None:
    stage = {"steps": 1, "size": 32, "frames": 2, "batch": 1, "learning_rate": 1e-3, **change}
    with pytest.raises(ValueError, match=names):
        config_from({"stages": [stage]})


def test_the_full_size_network_starts_from_torchvisions_resnets(tmp_path: Path) -> None:
    torch.manual_seed(5)
    network = XMem(NetworkConfig.published())
    with pytest.raises(ValueError, match="ResNet-50"):
        start_from_resnets(network, "")
    states: dict[int, dict[str, torch.Tensor]] = {}
    for depth, trunk in ((50, network.key_encoder.trunk), (18, network.value_encoder.trunk)):
        state = {
            name: torch.rand_like(tensor)
            for name, tensor in trunk.state_dict().items()
            if not name.endswith("num_batches_tracked")  # as in the older files
        }
        state["conv1.weight"] = torch.rand(64, 3, 7, 7)
        state["fc.weight"] = torch.rand(10, 4)  # the classifier is not wanted
        states[depth] = state
        torch.save(state, tmp_path / f"resnet{depth}-0123abcd.pth")
    start_from_resnets(network, str(tmp_path))
    key, value = network.key_encoder.trunk.state_dict(), network.value_encoder.trunk.state_dict()
    assert torch.equal(key["layer3.5.conv3.weight"], states[50]["layer3.5.conv3.weight"])
    assert torch.equal(value["conv1.weight"][:, :3], states[18]["conv1.weight"])
    assert not value["conv1.weight"][:, 3:].any()
    del states[18]["layer2.0.conv1.weight"]
    torch.save(states[18], tmp_path / "resnet18-0123abcd.pth")
    with pytest.raises(ValueError, match=r"layer2\.0\.conv1\.weight"):
        start_from_resnets(network, str(tmp_path))


@pytest.mark.parametrize("data", ["static", "davis"])
def test_the_click_network_trains_on_data_sets(roots: Path, tmp_path: Path, data: DataName) -> None:
    torch.save(pretend_imagenet(), tmp_path / "trunk.pth")
    config = ClickTraining(
        stages=(ClickStage(steps=1, size=32, batch=2, learning_rate=1e-4, data=data),),
        static_root=str(roots / "static"),
        davis_root=str(roots / "davis"),
        trunk_weights=str(tmp_path / "trunk.pth"),
        evaluation_pictures=1,
        evaluation_size=32,
    )
    assert config_from(config.as_dict()) == config
    Run(config, ClickTask(config), tmp_path / "run").advance()
    content = read_checkpoint(tmp_path / "run")
    assert content is not None
    assert content["step"] == 1
    sample, again = (
        draw_samples(clip_maker(config, data, "all"), np.random.default_rng(3), config, 48, 1)[0]
        for _ in "ab"
    )
    np.testing.assert_array_equal(sample.picture, again.picture)
    assert sample.truth.any()
    write_weights(tmp_path / "run", tmp_path / "clicks.safetensors")
    metadata = read_header(tmp_path / "clicks.safetensors")
    assert ("no real video" in metadata["data"]) == (data == "static")
    assert str(roots) not in metadata["training"]
    shape = config.as_dict()["stages"][0]
    with pytest.raises(ValueError, match="data must be"):
        config_from({"task": "clicks", "stages": [{**shape, "data": "coco"}]})


def photographs(root: Path) -> Path:
    """Two sets: `cats` with two instances and a strip of void, `dogs` with one instance."""
    for name, count in (("cats", 3), ("dogs", 2)):
        (root / name / "images").mkdir(parents=True)
        (root / name / "masks").mkdir()
        for index in range(count):
            rng = np.random.default_rng(index)
            picture = rng.integers(0, 255, (60, 90, 3), dtype=np.uint8)
            labels = np.zeros((60, 90), np.uint8)
            labels[20:45, 10:35] = 1
            if name == "cats":
                labels[15:40, 50:70] = 2
                labels[:, 80:] = 255
            suffix = ".webp" if index % 2 else ".jpg"
            cv2.imwrite(str(root / name / "images" / f"{index}{suffix}"), picture)
            image = Image.fromarray(labels, "P")
            image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [255] * 759)
            image.save(root / name / "masks" / f"{index}.png")
    return root


def test_photographs_become_clips_whose_objects_are_in_the_first_frame(tmp_path: Path) -> None:
    pairs = find_photographs(photographs(tmp_path), ("dogs",), is_held_out=False)
    assert [pair.mask.parent.parent.name for pair in pairs] == ["cats"] * 3
    clips = PhotographClips(pairs)
    shape = TrackerStage(steps=1, size=48, frames=4, batch=1, learning_rate=1e-3)
    counts, has_void = set(), False
    for seed in range(24):
        clip = clips.clip(seed % 3, np.random.default_rng(seed), shape)
        again = clips.clip(seed % 3, np.random.default_rng(seed), shape)
        np.testing.assert_array_equal(clip.frames, again.frames)
        assert clip.frames.shape == (4, 48, 48, 3)
        assert set(np.unique(clip.labels)) <= {*range(clip.object_count + 1), 255}
        for label in range(1, clip.object_count + 1):
            assert (clip.labels[0] == label).any()
        counts.add(clip.object_count)
        has_void |= bool((clip.labels == 255).any())
    assert counts == {1, 2}
    assert has_void


def test_instances_beside_what_is_unlabelled_are_not_used() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[5:20, 5:20] = 1
    labels[5:20, 22:34] = 2
    labels[5:20, 34:] = 255
    assert usable_instances(labels) == [1]


def test_a_hole_is_filled_with_what_is_around_it() -> None:
    picture = np.full((64, 64, 3), (40, 160, 80), np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 20:40] = True
    picture[hole] = (250, 0, 0)
    result = filled(picture, hole)
    np.testing.assert_allclose(result[30, 30].astype(int), (40, 160, 80), atol=12)
    np.testing.assert_array_equal(result[:8], picture[:8])


def test_a_stage_draws_from_its_data_by_their_shares(tmp_path: Path) -> None:
    static = tmp_path / "static" / "things"
    write_static(static, "a.jpg", "a.png")
    config = TrackerTraining(
        static_root=str(static.parent),
        photographs_root=str(photographs(tmp_path / "photographs" / "stills").parent),
        stages=(
            TrackerStage(
                steps=60,
                size=32,
                frames=2,
                batch=1,
                learning_rate=1e-3,
                mixture={"static": 1.0, "photographs": 3.0},
            ),
        ),
    )
    drawn = [drawn_data(config.stages[0], np.random.default_rng(seed)) for seed in range(200)]
    assert 120 < drawn.count("photographs") < 180
    assert config_from(config.as_dict()) == config
    assert batch_of(config, 0).frames.shape == (1, 2, 3, 32, 32)
    with pytest.raises(ValueError, match="data must be"):
        replace(config.stages[0], mixture={"nothing": 1.0})  # type: ignore[dict-item]


def test_masks_drawn_wide_keep_to_the_background_and_know_no_void() -> None:
    labels = np.zeros((2, 64, 64), np.uint8)
    labels[:, 20:30, 20:30], labels[:, 20:30, 31:40], labels[:, :, 50:] = 1, 2, 255
    clip = Clip(np.zeros((2, 64, 64, 3), np.uint8), labels, 2)
    wide = drawn_wide(clip, np.random.default_rng(1)).labels
    for label in (1, 2, 255):
        assert (wide[labels == label] == label).all()
    assert (wide == 1).sum() > (labels == 1).sum()
    assert (wide == 255).sum() == (labels == 255).sum()
    np.testing.assert_array_equal(wide[0], wide[1])


def test_a_working_pack_fits_and_is_read_as_its_source_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    photographs(source / "stills")
    davis = source / "DAVIS/2017/trainval"
    write_video(davis / "JPEGImages/480p/bear", davis / "Annotations/480p/bear", 6, 2)
    (davis / "ImageSets/2017").mkdir(parents=True)
    (davis / "ImageSets/2017/train.txt").write_text("bear\n", encoding="utf-8")
    pack = tmp_path / "pack"
    size = build_working_pack(source, pack, 60_000)
    assert size == sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) <= 60_000
    assert len(davis_videos(pack / "DAVIS/2017/trainval", "training")[0].frames) == 3
    pairs = find_photographs(pack / "stills", (), is_held_out=False)
    assert len(pairs) == 5
    picture, labels = read_pair(pairs[0])
    assert picture.shape[:2] == labels.shape
    assert set(np.unique(labels)) == {0, 1, 2, 255}
    PhotographClips(pairs).clip(0, np.random.default_rng(1), replace(STAGE, frames=2))
    with pytest.raises(ValueError, match="already"):
        build_working_pack(source, pack, 60_000)
    with pytest.raises(ValueError, match="do not fit"):
        build_working_pack(source, tmp_path / "small", 1000)
    assert not (tmp_path / "small").exists()
