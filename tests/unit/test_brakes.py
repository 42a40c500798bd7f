"""Brakes: cuts by content and histogram, and masks that collapse, explode or jump."""

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from interaction.annotation.requests import Propagated
from interaction.errors import DamagedFrameError
from interaction.session import Session
from interaction.tracking.brakes import Brakes
from interaction.tracking.signs import View, Watch, flow_between
from interaction.video.cuts import find_cuts, is_cut, motion, small_grey
from tests import tiny
from tests.fake_engines import FakeEngines

Picture = NDArray[np.uint8]
SIZE = 120, 192


def scene(seed: int, shift: int = 0) -> Picture:
    """(H, W, 3) a picture of its own, moved to the left by `shift` pixels."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (8, 14, 3), np.uint8)
    whole = cv2.resize(coarse, (SIZE[1] + 40, SIZE[0]), interpolation=cv2.INTER_CUBIC)
    level = 60 * seed % 100
    whole = np.clip(whole.astype(np.int16) // 2 + level, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(whole[:, shift : shift + SIZE[1]])


@pytest.mark.parametrize("height", [8, 16, 30])
@pytest.mark.parametrize("is_upright", [False, True])
def test_motion_is_found_in_strips(height: int, is_upright: bool) -> None:
    """OpenCV alone reads beyond pictures that are wide and low, and ends the process."""
    before, now = (small_grey(scene(1, shift))[40 : 40 + height] for shift in (0, 4))
    if is_upright:
        before, now = (np.ascontiguousarray(one.T) for one in (before, now))
    flow = motion(before, now)
    assert flow.shape == (*now.shape, 2)
    along, across = (flow[..., 1].T, flow[..., 0].T) if is_upright else (flow[..., 0], flow[..., 1])
    columns, rows = np.meshgrid(np.arange(SIZE[1]), np.arange(height))
    inside = np.s_[:, 8:-8]
    assert np.abs(np.median((along - columns)[inside]) - 4) < 0.5
    assert np.abs(np.median((across - rows)[inside])) < 0.5


def test_another_scene_is_a_cut_and_motion_a_flash_or_a_fade_is_none() -> None:
    here = small_grey(scene(1))
    assert is_cut(here, small_grey(scene(2)))
    assert not is_cut(here, here)
    assert not is_cut(here, small_grey(scene(1, shift=6)))
    flash = np.clip(here.astype(np.int16) * 1.4 + 50, 0, 255).astype(np.uint8)
    assert not is_cut(here, flash)
    assert not is_cut(here, (here * 0.9).astype(np.uint8))


class Film:
    """Three shots; one frame is damaged."""

    def __len__(self) -> int:
        return 18

    def __getitem__(self, index: int) -> Picture:
        if index == 8:
            raise DamagedFrameError(Path("film"), "it is cut off")
        return scene(1 + index // 6, shift=2 * (index % 6))


def test_cuts_of_a_film_are_found_and_the_way_there_is_reported() -> None:
    steps: list[int] = []
    cuts: list[list[int]] = []

    def search() -> Iterator[int]:
        cuts.append((yield from find_cuts(Film())))

    steps.extend(search())
    assert cuts == [[6, 12]]
    assert steps == list(range(1, 19))


# Masks


def view(mask: NDArray[np.bool_], key: NDArray[np.float32] | None = None) -> View:
    stack = np.stack([~mask, mask]).astype(np.float32)
    return View((1,), stack, None, None, {} if key is None else {1: key})


def square(x: int, y: int, side: int) -> NDArray[np.bool_]:
    mask = np.zeros((108, 192), np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def reasons(
    *masks: NDArray[np.bool_],
    keys: Sequence[NDArray[np.float32] | None] = (),
    resumed: bool = False,
) -> list[str]:
    """By frame, without pictures. resumed: what is known goes through JSON before each frame."""
    watch, brakes, found = Watch([0]), Brakes(), []
    for mask, key in zip_longest(masks, keys):
        if resumed:
            state, brakes = json.loads(json.dumps(brakes.state())), Brakes()
            brakes.restore(state)
        watch.before, watch.view = watch.view, view(mask, key)
        watch.flow = flow_between(watch.before, watch.view)
        wrong = brakes.mask(watch, {1: "bear"})
        found.append("" if wrong is None else wrong.reason)
    return found


def test_a_mask_that_shrinks_moves_or_grows_little_by_little_goes_on() -> None:
    steady = [square(20 + 3 * step, 30, 30 - step) for step in range(12)]
    assert reasons(*steady) == [""] * 12


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (square(20, 30, 8), "collapses"),
        (square(0, 0, 0), "collapses"),
        (square(20, 0, 90), "explodes"),
        (square(120, 60, 28), "jumps"),
    ],
)
def test_a_mask_that_goes_wrong_is_reported_once(wrong: NDArray[np.bool_], word: str) -> None:
    before = [square(20, 30, 30)] * 4
    found = reasons(*before, wrong, wrong, wrong)
    assert found[:4] == [""] * 4
    assert word in found[4]
    assert "bear" in found[4]
    assert found[5:] == ["", ""]


def test_a_thing_that_comes_nearer_fast_does_not_explode() -> None:
    nearer = [square(20, 10, round(12 * 1.27**step)) for step in range(9)]  # 1.6 times the area
    assert reasons(*nearer) == [""] * 9


def test_an_object_that_returns_does_not_explode() -> None:
    whole, hidden = [square(20, 30, 30)] * 3, [square(20, 30, 10)] * 3
    found = reasons(*whole, *hidden, *whole)
    assert "collapses" in found[3]
    assert found[4:] == [""] * 5
    assert reasons(*whole, *hidden, *whole, resumed=True) == found
    assert "explodes" in reasons(*hidden, *whole)[3]


def test_what_looks_the_same_elsewhere_has_moved_fast() -> None:
    here, there = square(20, 30, 30), square(120, 60, 28)
    look, other = np.array([1.0, 0.1], np.float32), np.array([0.2, 1.0], np.float32)
    assert reasons(here, there, keys=[look, look]) == ["", ""]
    assert "jumps" in reasons(here, there, keys=[look, other])[1]
    assert "jumps" in reasons(here, there, keys=[look, None])[1]


def test_tiny_things_come_and_go() -> None:
    assert reasons(square(20, 30, 4), square(90, 60, 5), square(0, 0, 0)) == [""] * 3


# In a run


def write_film(folder: Path) -> None:
    """Frames 0 to 4 are the tiny clip, the others another scene."""
    tiny.write_clip(folder, 8)
    paths = sorted(folder.iterdir())
    for path in paths[5:]:
        height, width = tiny.HEIGHT, tiny.WIDTH
        other = cv2.resize(scene(2), (width, height))
        cv2.imwrite(str(path), 255 - other // 3)


def test_a_run_tells_a_cut_before_it_goes_on_and_stops_with_brakes(tmp_path: Path) -> None:
    write_film(tmp_path / "film")
    with Session.open(tmp_path / "film", engines=FakeEngines()) as session:
        session.add_object("bear")
        session.set_mask(0, tiny.labels(0, 1, 0))
        steps: list[Propagated] = []
        session.propagate(0, on_step=steps.append)
        [cut] = [index for index, step in enumerate(steps) if step.is_cut]
        assert (steps[cut].frame, steps[cut].edit) == (5, None)
        assert "cut" in (steps[cut].brake or "")
        assert steps[cut + 1].frame == 5  # resumed, it goes on as usual
        assert steps[cut + 1].edit is not None
        assert sorted(session.annotation.records) == list(range(8))

        first = next(step for step in steps if step.brake)
        session.undo()
        steps.clear()
        session.propagate(0, brakes=True, on_step=steps.append)
        assert steps[-1].brake == first.brake
        assert [step for step in steps if step.brake] == steps[-1:]
        assert max(session.annotation.records) == first.frame - first.is_cut
