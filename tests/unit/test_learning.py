"""A session learns from its given frames: what it learns from, what comes of it, what is kept."""

import copy
import itertools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameStatus
from interaction.clicks.small_network import SmallClickNetwork, click_network_bytes
from interaction.engines import Engines, EngineSettings
from interaction.errors import ReadOnlyProjectError, UserError
from interaction.learning.examples import clip_of, examples_of, sample_of
from interaction.learning.learned import LearnedModels, LearningStep, learning
from interaction.learning.networks import Plan, learn_tracker
from interaction.learning.samples import ClickHabits
from interaction.models import find_model
from interaction.session import Session
from tests import tiny
from tests.fake_engines import project_of
from xmem_core.learning.unroll import ClipLoss
from xmem_core.network.xmem import XMem
from xmem_core.weights import load_xmem, network_bytes

COUNT = 8


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> EngineSettings:
    folder = tmp_path_factory.mktemp("models")
    (folder / "tracker.safetensors").write_bytes(network_bytes(tiny.network(), {}))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        (folder / "clicks.safetensors").write_bytes(click_network_bytes(SmallClickNetwork(), {}))
    return EngineSettings(
        tracker_model=str(folder / "tracker.safetensors"),
        click_model=str(folder / "clicks.safetensors"),
        device="cpu",
    )


@pytest.fixture
def small_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interaction.learning.networks._SIZE_PX", 64)
    monkeypatch.setattr("interaction.learning.networks._CLICK_SIZE_PX", 64)


@pytest.fixture
def session(tmp_path: Path, settings: EngineSettings, small_views: None) -> Iterator[Session]:
    tiny.write_clip(tmp_path / "clip", COUNT)
    with Session.open(tmp_path / "clip", tmp_path / "p.vos", settings=settings) as opened:
        opened.add_object("disc")
        opened.add_object("box")
        yield opened


def give(
    session: Session, frame: int, *ids: int, status: FrameStatus = FrameStatus.CORRECTED
) -> None:
    """The true mask of these objects, and a word for no other."""
    labels = tiny.labels(frame)
    labels[~np.isin(labels, ids)] = 0
    record = make_record(labels, status, given=frozenset(ids))
    old = session.annotation.record(frame)
    assert session.apply(Edit("Give", {frame: old}, {frame: record}))


def given(session: Session) -> dict[int, object]:
    return {f: r for f, r in session.annotation.records.items() if r.status.is_given}


def learn(session: Session, steps: int = 1) -> list[LearningStep]:
    return list(begin(session, steps))


def begin(session: Session, steps: int = 1) -> Generator[LearningStep, None, None]:
    return learning(session.annotation, session.video, session.engines, steps=steps)


def weights(session: Session) -> list[torch.Tensor]:
    """Of the networks that answer now: a tensor of each."""
    tracker = session.engines.start_tracker().engine.network
    segmenter = session.engines.segmenter()
    clicks = segmenter._network  # type: ignore[attr-defined]  # nothing else tells them apart
    return [tracker.decoder.prediction.weight.clone(), clicks.head.weight.clone()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(first, second, strict=True)]


# What is learned from


def test_only_given_frames_teach_and_each_only_its_given_objects(session: Session) -> None:
    give(session, 0, 1, 2, status=FrameStatus.CONFIRMED)
    give(session, 3, 1)
    give(session, 5, 1, 2, status=FrameStatus.TRACKED)
    examples = examples_of(given(session), session.video)  # type: ignore[arg-type]
    assert [(one.frame, set(one.given)) for one in examples] == [(0, {1, 2}), (3, {1})]
    assert set(np.unique(examples[1].labels)) == {0, 1}
    assert np.array_equal(examples[0].picture, session.video[0])


def test_of_very_many_given_frames_some_spread_over_the_video_teach(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interaction.learning.examples.MOST_EXAMPLES", 3)
    for frame in range(COUNT):
        give(session, frame, 1)
    examples = examples_of(given(session), session.video)  # type: ignore[arg-type]
    assert [one.frame for one in examples] == [0, 4, 7]


def test_a_clip_shows_its_objects_from_the_start_and_never_one_that_a_frame_is_silent_on(
    session: Session,
) -> None:
    give(session, 0, 1, 2)
    give(session, 3, 1)
    give(session, 6, 1, 2)
    examples = examples_of(given(session), session.video)  # type: ignore[arg-type]
    counts = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        pictures, labels, objects = clip_of(examples, rng, size=64, frames=3, scale=1.0)
        assert pictures.shape == (3, 64, 64, 3)
        assert pictures.dtype == np.uint8
        assert labels.shape == (3, 64, 64)
        assert set(np.unique(labels)) <= set(range(objects + 1))
        assert labels[0].any()
        counts.add(objects)
        again = clip_of(examples, np.random.default_rng(seed), size=64, frames=3, scale=1.0)
        assert np.array_equal(again[1], labels)
    assert counts == {1, 2}


def test_a_sample_shows_one_object_from_near(session: Session) -> None:
    give(session, 0, 1, 2)
    examples = examples_of(given(session), session.video)  # type: ignore[arg-type]
    habits = ClickHabits(given_mask_share=0.5)
    shares, starts = [], []
    for seed in range(20):
        sample = sample_of(examples, np.random.default_rng(seed), habits, 64)
        assert sample.picture.shape == (64, 64, 3)
        assert sample.clicks
        shares.append(sample.truth.mean())
        starts.append(bool(sample.given.any()))
    assert min(shares) > 0.1  # of the whole frame the box covers less
    assert len(set(starts)) == 2


def test_the_first_round_is_learned_from_as_often_as_asked() -> None:
    rng = np.random.default_rng(3)
    seldom, always = (
        [
            ClickHabits(rounds=2, most_rounds=9, first_share=share).learned_rounds(rng)
            for _ in range(200)
        ]
        for share in (0.0, 1.0)
    )
    assert all(len(learned) == 2 and max(learned) < 9 for learned in (*seldom, *always))
    assert all(0 in learned for learned in always)
    assert 40 < sum(0 in learned for learned in seldom) < 120  # 2/2 to 2/9: 0.46 on average
    assert max(max(learned) for learned in always) == 8  # late rounds are not given up


def test_a_line_too_thin_to_be_seen_from_afar_is_shown_in_part() -> None:
    labels = np.zeros((700, 900), np.uint8)
    labels[350, :] = 1
    record = make_record(labels, FrameStatus.CONFIRMED, given=frozenset({1}))
    examples = examples_of({0: record}, {0: np.zeros((700, 900, 3), np.uint8)})
    for seed in range(12):
        sample = sample_of(examples, np.random.default_rng(seed), ClickHabits(), 64)
        assert sample.truth.any()
        assert sample.clicks


def test_of_very_large_frames_fewer_teach(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interaction.learning.examples._MOST_PIXELS", 3 * tiny.WIDTH * tiny.HEIGHT)
    for frame in range(COUNT):
        give(session, frame, 1)
    assert len(examples_of(given(session), session.video)) == 3  # type: ignore[arg-type]


# What comes of it


def test_learning_makes_both_networks_others_and_tells_every_step(session: Session) -> None:
    give(session, 0, 1, 2)
    before = weights(session)
    steps = learn(session, 2)
    assert [(one.part, one.done, one.total) for one in steps] == [
        ("tracker", 1, 4),
        ("tracker", 2, 4),
        ("clicks", 3, 4),
        ("clicks", 4, 4),
    ]
    assert same(before, weights(session)) == [False, False]
    assert session.engines.models.frames == 1


def test_learning_again_goes_on_from_what_was_learned(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(session, 0, 1, 2)
    learn(session)
    first = weights(session)
    begun: list[Path] = []

    def noting(path: Path) -> XMem:
        begun.append(path)
        return load_xmem(path)

    monkeypatch.setattr("interaction.learning.networks.load_xmem", noting)
    give(session, 4, 1, 2)
    learn(session)
    assert begun[0] == session.engines.models.weights_of(
        "tracker", session.engines.settings.tracker_model
    )
    assert same(first, weights(session)) == [False, False]
    assert session.engines.models.frames == 2


def test_the_same_frames_teach_the_same(session: Session, settings: EngineSettings) -> None:
    give(session, 0, 1, 2)
    learn(session)
    first = weights(session)
    session.engines.forget()
    learn(session)
    assert same(first, weights(session)) == [True, True]


def test_what_is_learned_tracks_its_video_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """On frames it has not learned from."""
    monkeypatch.setattr("interaction.learning.networks._SIZE_PX", 128)
    pictures = {frame: tiny.frame(frame, 96, 120) for frame in range(12)}
    records = {
        frame: make_record(
            tiny.labels(frame, height=96, width=120),
            FrameStatus.CONFIRMED,
            given=frozenset({1, 2}),
        )
        for frame in (0, 6, 11)
    }
    examples = examples_of(records, pictures)
    truths = {
        frame: make_record(
            tiny.labels(frame, height=96, width=120),
            FrameStatus.CONFIRMED,
            given=frozenset({1, 2}),
        )
        for frame in (2, 3, 4, 8, 9)
    }
    others = examples_of(truths, pictures)
    # The bundled tracker knows such simple shapes already, so a part of it is made to forget them.
    worse = load_xmem(find_model("small"))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in worse.decoder.parameters():
            weight.mul_(1 + 0.5 * torch.randn_like(weight))
    start = copy.deepcopy(worse)
    work = learn_tracker(
        worse,
        examples,
        plan=Plan(12),
        seed=1,
        internal_size=128,
        device=torch.device("cpu"),
    )
    while True:
        try:
            next(work)
        except StopIteration as end:
            learned = end.value
            break
    losses = []
    for network in (start, learned):
        loss_of = ClipLoss(network)
        total = 0.0
        for seed in range(4):
            clip, labels, objects = clip_of(
                others, np.random.default_rng(seed), size=128, frames=3, scale=4 / 3
            )
            with torch.inference_mode():
                frames = torch.from_numpy(clip).movedim(3, 1)[None]
                total += float(loss_of(frames, torch.from_numpy(labels)[None], objects, (1,), 1.0))
        losses.append(total)
    assert losses[1] < 0.8 * losses[0]


# What is kept


def test_a_network_is_kept_from_the_end_of_its_steps_on(session: Session) -> None:
    give(session, 0, 1, 2)
    before = weights(session)
    with closing(begin(session, 3)) as work:
        next(work)
        next(work)
    assert same(before, weights(session)) == [True, True]
    assert session.engines.models.is_empty
    with closing(begin(session, 3)) as work:
        for _ in range(6):  # two of each, which are timed, and then the tracker's last
            next(work)
    assert same(before, weights(session)) == [False, True]


def test_steps_are_shortened_to_the_time_there_is_and_reported_before_they_begin(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(session, 0, 1, 2)
    clock = itertools.count(0.0, 10.0)  # ten seconds a step
    monkeypatch.setattr("interaction.learning.networks.monotonic", lambda: next(clock))
    monkeypatch.setattr("interaction.learning.networks._FEWEST_STEPS", 3)
    monkeypatch.setattr("interaction.learning.networks._BUDGET_S", 80.0)
    steps = list(learning(session.annotation, session.video, session.engines))
    assert [one.seconds_left for one in steps[:4]] == [None] * 4
    assert [one.seconds_left for one in steps[4:]] == [30.0, 20.0, 10.0, 0.0]
    assert {one.total for one in steps[4:]} == {8}  # as many as fit into eighty seconds


def test_what_was_learned_is_there_when_the_project_is_opened_again(
    session: Session, settings: EngineSettings
) -> None:
    give(session, 0, 1, 2)
    learn(session)
    learned = weights(session)
    assert session.project is not None
    folder = session.project.folder
    session.close()
    with Session.open_project(folder, settings=settings) as again:
        assert again.engines.models.frames == 1
        assert same(learned, weights(again)) == [True, True]
        assert project_of(again).damages == ()


def test_other_sessions_with_the_same_engines_learn_nothing_of_it(
    session: Session, settings: EngineSettings, tmp_path: Path
) -> None:
    engines = Engines(settings)
    give(session, 0, 1, 2)
    with Session.open(tmp_path / "clip", engines=engines) as other:
        other.add_object("disc")
        other.add_object("box")
        give(other, 0, 1, 2)
        before = weights(session)
        learn(other)
        assert same(before, weights(other)) == [False, False]
        assert same(before, weights(session)) == [True, True]


def test_another_model_is_not_answered_by_what_this_one_learned(session: Session) -> None:
    give(session, 0, 1, 2)
    learn(session)
    engines = session.engines
    learned = weights(session)
    engines.configure(replace(engines.settings, tracker_model="small"))
    network = engines.start_tracker().engine.network
    assert network.config == load_xmem(find_model("small")).config
    engines.configure(replace(engines.settings, click_model="small-clicks"))
    assert not torch.equal(
        engines.segmenter()._network.head.weight,  # type: ignore[attr-defined]
        learned[1],
    )


def test_forgetting_brings_the_models_back_as_they_came(session: Session) -> None:
    give(session, 0, 1, 2)
    before = weights(session)
    learn(session)
    session.engines.forget()
    assert same(before, weights(session)) == [True, True]
    assert session.engines.models.is_empty
    assert session.project is not None
    assert [path.name for path in session.project.view.layout.learned.iterdir()] == ["learned.json"]
    session.engines.forget()  # nothing is left to forget


def test_a_session_without_project_learns_for_as_long_as_it_is_open(
    tmp_path: Path, settings: EngineSettings, small_views: None
) -> None:
    tiny.write_clip(tmp_path / "clip", COUNT)
    with Session.open(tmp_path / "clip", settings=settings) as session:
        session.add_object("disc")
        give(session, 0, 1)
        learn(session)
        path = session.engines.models.weights_of("tracker", settings.tracker_model)
        assert path is not None
        assert path.is_file()
    assert not path.parent.exists()


# What is in the way


def test_without_a_given_frame_there_is_nothing_to_learn_from(session: Session) -> None:
    give(session, 2, 1, status=FrameStatus.TRACKED)
    with pytest.raises(UserError, match="Correct or confirm"):
        begin(session)


def test_a_project_open_for_reading_only_learns_and_forgets_nothing(
    session: Session, settings: EngineSettings
) -> None:
    give(session, 0, 1, 2)
    assert session.project is not None
    folder = session.project.folder
    session.close()
    with Session.open_project(folder, settings=settings, read_only=True) as reader:
        with pytest.raises(ReadOnlyProjectError):
            begin(reader)
        with pytest.raises(ReadOnlyProjectError):
            reader.engines.forget()


@pytest.mark.parametrize("part", ["tracker", "clicks"])
def test_weights_that_are_damaged_are_reported_and_can_be_learned_again(
    session: Session, part: str
) -> None:
    give(session, 0, 1, 2)
    learn(session)
    assert session.project is not None
    path = session.project.view.layout.learned / f"{part}.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    session.engines.renew()
    ask = session.engines.start_tracker if part == "tracker" else session.engines.segmenter
    with pytest.raises(UserError, match=r"learned from this video cannot be used[\s\S]*masks are"):
        ask()
    learn(session)
    ask()


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"tracker": 3}',
        b'{"tracker": {"of": 1, "frames": 1}}',
        b'{"tracker": {"of": "small", "frames": 0}}',
        b'{"tracker": {"of": "small"}}',
        b"[" * 100_000,
    ],
)
def test_a_note_that_cannot_be_read_means_that_nothing_was_learned(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "learned.json").write_bytes(content)
    (tmp_path / "tracker.safetensors").write_bytes(b"")
    models = LearnedModels(tmp_path)
    assert models.is_empty
    assert models.weights_of("tracker", "small") is None


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "learned.json").write_text('{"tracker": {"of": "s", "frames": 1}}')
    (tmp_path / "elsewhere" / "tracker.safetensors").write_bytes(b"")
    (tmp_path / "learned").symlink_to(tmp_path / "elsewhere")
    models = LearnedModels(tmp_path / "learned")
    assert models.is_empty


def test_a_full_disk_while_keeping_leaves_what_was_learned_before(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(session, 0, 1, 2)
    learn(session)
    before = weights(session)

    def fails(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(UserError, match="full"):
        learn(session)
    monkeypatch.undo()
    assert session.project is not None
    names = {one.name for one in session.project.view.layout.learned.iterdir()}
    assert names == {"tracker.safetensors", "clicks.safetensors", "learned.json"}
    assert same(before, weights(session)) == [True, True]


def test_a_full_device_is_reported_in_words(
    session: Session, monkeypatch: pytest.MonkeyPatch, run_out: Callable[..., None]
) -> None:
    give(session, 0, 1, 2)
    monkeypatch.setattr("interaction.learning.networks.Descent.step", run_out)
    with pytest.raises(UserError, match="out of memory"):
        learn(session)
