"""Engines for tests of a session: clicks become discs, tracking is the tiny network's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.requests import PropagationRequest
from interaction.annotation.strokes import stroke_mask
from interaction.annotation.types import Click, Stroke
from interaction.answers import propagation
from interaction.clicks.fbrs import StoppedError
from interaction.clicks.prompts import Box, ClickConfig
from interaction.clicks.segmenter import ClickResult, merged
from interaction.engines import EngineSettings, Judge
from interaction.project.project import Project
from interaction.session import Session
from tests import tiny
from xmem_core import MemoryConfig, Tracker, XMem, prepare
from xmem_core.arrays import Frame, Labels

SHORT = MemoryConfig(
    memorize_every=2, min_working_frames=2, max_working_frames=4, prototypes=8, max_long_term=20
)
RADIUS_PX = 8


@cache
def tiny_network() -> XMem:
    return prepare(tiny.network(is_quick=True))


class DiscSegmenter:
    """Each positive click adds a disc to the object, each negative one takes one away."""

    config = ClickConfig()
    is_quick = True

    def __init__(self) -> None:
        self.asked: list[tuple[Hashable, int, tuple[Click, ...]]] = []
        self.looked_at: list[tuple[Hashable, int]] = []

    def segment(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        clicks: Sequence[Click],
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
        stop: Callable[[], bool] = lambda: False,
        is_preview: bool = False,
    ) -> ClickResult:
        if stop():
            raise StoppedError
        self.asked.append((frame_key, object_id, tuple(clicks)))
        mask = start == object_id
        y, x = np.mgrid[: start.shape[0], : start.shape[1]]
        for click in clicks:
            disc = (x - click.x) ** 2 + (y - click.y) ** 2 <= RADIUS_PX**2
            mask = mask | disc if click.is_positive else mask & ~disc
        return ClickResult(mask.astype(np.float32), merged(start, object_id, mask, locked))

    def look(self, frame: Frame, start: Labels, object_id: int, *, frame_key: Hashable) -> None:
        self.looked_at.append((frame_key, object_id))

    def segment_box(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        box: Box,
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
    ) -> ClickResult:
        """The box itself."""
        mask = np.zeros(start.shape, np.bool_)
        mask[box.pixels] = True
        return ClickResult(mask.astype(np.float32), merged(start, object_id, mask, locked))


class LineScribbler:
    """The object becomes what positive strokes cover, less what negative ones do."""

    def segment(
        self, frame: Frame, start: Labels, object_id: int, strokes: Sequence[Stroke], /
    ) -> NDArray[np.float32]:
        mask = start == object_id
        for stroke in strokes:
            covered = stroke_mask(start.shape[0], start.shape[1], stroke)
            mask = mask | covered if stroke.is_positive else mask & ~covered
        return mask.astype(np.float32)


class BrightnessJudge:
    """Denies of a mask as much as its pixels are bright."""

    def denied(self, frame: Frame, labels: Labels, object_id: int) -> float:
        return float(frame[labels == object_id].mean()) / 255


class FakeEngines:
    """Keeps the contract of `interaction.engines.Engines`."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings(memory=SHORT, device="cpu")
        self.discs = DiscSegmenter()
        self.trackers: list[Tracker] = []

    def configure(self, settings: EngineSettings) -> None:
        self.settings = settings

    def segmenter(self) -> DiscSegmenter:
        return self.discs

    def scribbler(self) -> LineScribbler:
        return LineScribbler()

    def judge(self) -> Judge | None:
        return BrightnessJudge()

    def start_tracker(self, settings: EngineSettings | None = None) -> Tracker:
        settings = settings or self.settings
        # At internal size 480 the tiny clip stays as it is: nothing is enlarged here.
        asked = settings.internal_size
        size = None if asked is None or asked >= 480 else asked // 10
        memory = replace(settings.memory)
        self.trackers.append(Tracker(tiny_network(), memory, internal_size=size))
        return self.trackers[-1]


def project_of(session: Session) -> Project:
    """Of a session that is about one."""
    assert session.project is not None
    return session.project


def tracking(session: Session, start: int) -> Iterator[int]:
    """Tracks forward and applies, frame by frame: each frame that got a mask."""
    with closing(propagation(session.context(), PropagationRequest(start))) as steps:
        for step in steps:
            if step.edit is not None and session.apply(step.edit):
                yield step.frame


def open_session(folder: Path, frames: int = 8, engines: FakeEngines | None = None) -> Session:
    """In memory, over the tiny clip, written into `folder` if it is not there yet."""
    clip = folder / "clip"
    if not clip.exists():
        tiny.write_clip(clip, frames)
    return Session.open(clip, engines=engines or FakeEngines())
