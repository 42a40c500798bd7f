"""Second opinions on tracked masks, with a judge that is made up and with the bundled one."""

from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.annotation import make_record
from interaction.annotation.types import FrameStatus
from interaction.engines import Engines, EngineSettings, Judge
from interaction.errors import DamagedFrameError
from interaction.tracking.opinion import SecondOpinion
from interaction.tracking.propagation import GivenMasks
from interaction.tracking.signs import Watch, beyond_least
from interaction.tracking.trust import ASKED_EVERY
from tests.fake_engines import FakeEngines
from xmem_core.arrays import Frame, Labels

SIZE = 20, 30


class Clip:
    """Frames whose pixels are their number. damaged: cannot be decoded."""

    def __init__(self, damaged: int = -1) -> None:
        self.damaged = damaged

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> Frame:
        if index == self.damaged:
            raise DamagedFrameError(Path("clip.mp4"), "nothing is there")
        return np.full((*SIZE, 3), index, np.uint8)


class Judging(FakeEngines):
    """Denies of every mask a hundredth for each frame's number, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []
        self.error: Exception | None = None

    def judge(self) -> Judge:
        return self

    def denied(self, frame: Frame, labels: Labels, object_id: int) -> float:
        number = int(frame[0, 0, 0])
        self.asked.append((number, object_id))
        if self.error is not None:
            raise self.error
        return number / 100


def mask(*objects: int) -> Labels:
    labels = np.zeros(SIZE, np.uint8)
    for one in objects:
        labels[:, 4 * one : 4 * one + 3] = one
    return labels


def given(**objects: tuple[int, ...]) -> GivenMasks:
    """By frame, as "f10", the objects of its mask."""
    return GivenMasks(
        {
            int(name[1:]): make_record(mask(*its), FrameStatus.CONFIRMED)
            for name, its in objects.items()
        }
    )


def test_each_object_is_asked_about_now_and_then_and_not_all_at_once() -> None:
    judging = Judging()
    opinion = SecondOpinion(judging, Clip(), given(f0=(1, 2, 3)))
    found = {frame: opinion.on(frame, mask(1, 2, 3), {1, 2, 3}) for frame in range(1, 41)}
    assert all(len(one) <= 1 for one in found.values())
    for object_id in (1, 2, 3):
        frames = [frame for frame, one in found.items() if object_id in one]
        assert np.diff(frames).tolist() == [ASKED_EVERY] * (len(frames) - 1)
        assert judging.asked.count((0, object_id)) == 1  # the given mask
    assert found[15] == {1: (0.15, 0.0)}


def test_usual_is_what_is_denied_of_the_given_masks_before_and_after() -> None:
    opinion = SecondOpinion(Judging(), Clip(), given(f10=(1,), f30=(1, 2), f50=(2,)))
    usual = {frame: opinion.on(frame, mask(1), {1})[1][1] for frame in (7, 15, 23, 31, 55)}
    assert usual == pytest.approx({7: 0.1, 15: 0.2, 23: 0.2, 31: 0.3, 55: 0.3})
    assert opinion.on(38, mask(2), {2}) == {2: (0.38, 0.4)}


def test_only_what_is_denied_beyond_the_least_so_far_counts() -> None:
    least: dict[int, float] = {}
    shares = [(0.3, 0.2), (0.15, 0.2), (0.25, 0.2), (0.1, 0.05)]
    excess = [beyond_least({1: one}, least)[1] for one in shares]
    assert excess == pytest.approx([0.1, 0.0, 0.1, 0.05])
    assert beyond_least({}, least) == {}
    assert least == {1: 0.05}


def test_a_run_of_before_there_were_opinions_goes_on() -> None:
    watch = Watch([0])
    state = watch.state()
    watch.restore({name: one for name, one in state.items() if not name.startswith("denied.")})
    assert watch.state().keys() == state.keys()
    assert not watch.state()["denied.objects"].numel()


def test_nothing_is_asked_of_an_object_without_a_mask_there_or_anywhere() -> None:
    judging = Judging()
    opinion = SecondOpinion(judging, Clip(), given(f0=(1,)))
    assert opinion.on(7, mask(), {1}) == {}
    assert opinion.on(6, mask(2), {2}) == {}
    assert judging.asked == []


def test_a_run_without_a_judge_is_a_run_without_opinions(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = FakeEngines()
    monkeypatch.setattr(engines, "judge", lambda: None)
    assert SecondOpinion(engines, Clip(), given(f0=(1,))).on(7, mask(1), {1}) == {}


def test_a_frame_that_cannot_be_decoded_has_none_and_the_next_has() -> None:
    opinion = SecondOpinion(Judging(), Clip(damaged=7), given(f0=(1,)))
    assert opinion.on(7, mask(1), {1}) == {}
    assert opinion.on(15, mask(1), {1}) == {1: (0.15, 0.0)}


def test_a_device_too_full_for_it_is_not_asked_again() -> None:
    judging = Judging()
    judging.error = MemoryError()
    opinion = SecondOpinion(judging, Clip(), given(f0=(1,)))
    assert opinion.on(7, mask(1), {1}) == opinion.on(15, mask(1), {1}) == {}
    assert judging.asked == [(0, 1)]
    judging.error = RuntimeError("a defect")
    with pytest.raises(RuntimeError, match="a defect"):
        SecondOpinion(judging, Clip(), given(f0=(1,))).on(7, mask(1), {1})


def test_the_bundled_network_denies_what_a_mask_has_too_much_of() -> None:
    rows, columns = np.mgrid[:240, :320]
    disc = np.hypot(columns - 110, rows - 120) < 60
    frame = np.where(disc[..., None], (220, 60, 40), (70, 110, 150)).astype(np.uint8)
    wide = disc | ((abs(rows - 120) < 25) & (columns > 110) & (columns < 300))
    judge = Engines(EngineSettings(device="cpu")).judge()
    assert judge is not None
    right = judge.denied(frame, disc.astype(np.uint8), 1)
    wrong = judge.denied(frame, wide.astype(np.uint8), 1)
    assert 0 <= right < 0.15 < wrong <= 1
    assert judge.denied(frame, np.zeros((240, 320), np.uint8), 1) == 0


def test_missing_weights_take_only_the_opinions_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interaction.engines._JUDGE", "not-there")
    assert Engines(EngineSettings(device="cpu")).judge() is None
