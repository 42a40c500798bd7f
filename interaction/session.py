"""A project that is open: the one thing that scripts, the command line and the window work with.

    with Session.open("bear.mp4", "bear.vos") as session:
        bear = session.add_object("bear")
        session.click(0, bear, 412, 240)
        for frame in session.propagate(0):
            ...

Three kinds of methods. Those that change something at once return the edit they made, or None if
nothing changed. Those that compute (`segment_*`, `propagation`, `surgery`, `…ing_object…`) read
what they depend on when they are called and return a generator, which may be pulled on another
thread and yields edits to give to `apply`. And `click`, `box`, `scribble`, `propagate`,
`delete_object` and the like do both, for scripts. All but the generators belong to one thread.
"""

import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation
from interaction.annotation.history import History
from interaction.annotation.requests import (
    Cause,
    Direction,
    MemoryUse,
    Propagated,
    PropagationRequest,
    Until,
    box_cause,
    click_cause,
    scribble_cause,
)
from interaction.annotation.types import Click, Edit, FrameStatus, Stroke
from interaction.clicks import prompt_edits
from interaction.clicks.prompts import clicks_of_box, clicks_of_strokes, next_click_of_box
from interaction.engines import Engines, EngineSettings, EnginesLike
from interaction.errors import ProjectError, UserError
from interaction.hand_work import HandWork, Point
from interaction.learning.learned import LearnedEngines, LearnedModels
from interaction.project.layout import is_project
from interaction.project.manifest import describe_source
from interaction.project.project import Project
from interaction.project.workspace import (
    is_workspace,
    workspace_edits,
    workspace_images,
    workspace_project,
)
from interaction.video.video import Video, VideoIndex, open_video

if TYPE_CHECKING:
    from interaction.formats.export import ExportProgress, ExportReport, ExportSettings

__all__ = [
    "MemoryUse",
    "Propagated",
    "PropagationRequest",
    "Session",
    "check_fit",
    "is_known_place",
    "plain_settings",
]


def check_fit(project: Project, video: Video) -> None:
    """Raises ProjectError if the video has not the frames that the project is about."""
    source = project.source
    wanted = source.frame_count, source.width, source.height
    found = len(video), video.width, video.height
    if wanted != found:
        raise ProjectError(
            f"The project “{project.name}” is about {wanted[0]} frames of {wanted[1]}x{wanted[2]} "
            f"pixels; “{video.path.name}” has {found[0]} of {found[1]}x{found[2]}. Nothing was "
            "changed.",
            "Open the project with the video that it was made for.",
        )


def is_known_place(project: Project, source: Path) -> bool:
    """Whether the project's video is this very file, unchanged."""
    try:
        return project.find_source().samefile(source)
    except (OSError, UserError):
        return False


def plain_settings(settings: EngineSettings) -> dict[str, Any]:
    """For the project: what its masks were first made with."""
    plain = asdict(settings)
    return {name: plain[name] for name in sorted(plain)}


def never() -> bool:
    return False


class Session(HandWork):
    """`Session.open(video)` keeps everything in memory; with a folder, everything is on disk at
    once and still there, history included, when it is opened again."""

    def __init__(
        self,
        video: Video,
        *,
        project: Project | None = None,
        engines: EnginesLike | None = None,
    ) -> None:
        """ProjectError if the project is about a video of another length or size."""
        self.video = video
        learned = None if project is None else project.learned_folder
        self.engines = LearnedEngines(engines or Engines(), LearnedModels(learned))
        if project is None:
            annotation, history = Annotation(len(video), video.width, video.height), History()
        else:
            check_fit(project, video)
            annotation, history = project.load_annotation(), project.load_history()
        super().__init__(annotation, history, project)
        self._key = uuid.uuid4().hex  # tells this session's frames from another's
        outside = None if project is None or project.is_read_only else project.outside_changes()
        if outside is not None:
            self.apply(outside)

    @classmethod
    def open(
        cls,
        source: Path | str,
        project: Path | str | None = None,
        *,
        settings: EngineSettings | None = None,
        engines: EnginesLike | None = None,
        index: VideoIndex | None = None,
    ) -> "Session":
        """A video file or a folder of pictures, and the project about it, made if there is none.

        project: None keeps the work in memory only. A project that was about the same video in
        another place notes the new one. engines: to share loaded networks between sessions.
        index: what `index_video` returned for this source, where that was run before.
        UnreadableVideoError, SourceChangedError if the project is about another video, and what
        `Project.open` and `Project.create` raise.
        """
        source = Path(source)
        engines = engines or Engines(settings)
        with ExitStack() as undoing:
            opened: Project | None = None
            if project is not None and is_project(Path(project)):
                opened = undoing.enter_context(Project.open(Path(project)))
                if not is_known_place(opened, source):
                    opened.relocate(source)
                index = index or opened.load_index(source)
            video = undoing.enter_context(open_video(source, index=index))
            if project is not None and opened is None:
                info = describe_source(source, len(video), video.width, video.height)
                opened = undoing.enter_context(
                    Project.create(Path(project), info, engine=plain_settings(engines.settings))
                )
            if opened is not None:
                opened.save_index(video.index)
            session = cls(video, project=opened, engines=engines)
            undoing.pop_all()
            return session

    @classmethod
    def open_project(
        cls,
        project: Path | str,
        *,
        settings: EngineSettings | None = None,
        engines: EnginesLike | None = None,
        index: VideoIndex | None = None,
        read_only: bool = False,
    ) -> "Session":
        """A project and the video it is about, or a workspace of XMem, Cutie or XMem++.

        About a workspace a project is made inside it, with its masks; what is there stays.
        SourceMovedError, with the places, if that was found elsewhere: `open(place, project)` says
        that this is it. SourceMissingError, SourceChangedError, and what `Project.open` raises.
        """
        folder = Path(project)
        if is_workspace(folder):
            if not is_project(workspace_project(folder)) and not read_only:
                return cls._from_workspace(folder, engines or Engines(settings), index)
            folder = workspace_project(folder)
        with ExitStack() as undoing:
            opened = undoing.enter_context(Project.open(folder, read_only=read_only))
            source = opened.find_source()
            index = index or opened.load_index(source)
            video = undoing.enter_context(open_video(source, index=index))
            opened.save_index(video.index)
            session = cls(video, project=opened, engines=engines or Engines(settings))
            undoing.pop_all()
            return session

    @classmethod
    def _from_workspace(
        cls, folder: Path, engines: EnginesLike, index: VideoIndex | None
    ) -> "Session":
        images = workspace_images(folder)
        with open_video(images, index=index) as video:
            names = [video.name(frame) for frame in range(len(video))]
            empty = Annotation(len(video), video.width, video.height)
            # All of them before there is a project: one that cannot be read would leave half of it.
            edits = list(workspace_edits(folder, names, empty))
        session = cls.open(
            images, workspace_project(folder), engines=engines, index=index or video.index
        )
        for edit in edits:
            session.apply(edit)
        return session

    # What there is

    @property
    def frame_count(self) -> int:
        return self.annotation.frame_count

    @property
    def damages(self) -> tuple[str, ...]:
        """What was found damaged when the project was opened, in words."""
        return () if self.project is None else self.project.damages

    @property
    def notices(self) -> tuple[str, ...]:
        """What was found odd then, and put right or left alone."""
        return () if self.project is None else self.project.notices

    def doubtful_frames(self) -> list[int]:
        """Tracked frames that have any doubt, worst first."""
        tracked = [
            (-record.doubt, frame)
            for frame, record in self.annotation.records.items()
            if record.status is FrameStatus.TRACKED and record.doubt > 0
        ]
        return [frame for _, frame in sorted(tracked)]

    # The click network

    def segment_click(
        self, frame: int, object_id: int, click: Click, stop: Callable[[], bool] = never
    ) -> Generator[Edit, None, None]:
        """stop: asked often; once it says so, nothing is yielded. UserError if the object is
        locked, ValueError for a click outside the frame."""
        cause = click_cause(frame, object_id, click)
        label = self._label("Click on", object_id)
        return self._answering(frame, object_id, (click,), label, cause, stop)

    def segment_without_click(
        self, frame: int, click_index: int, stop: Callable[[], bool] = never
    ) -> Generator[Edit, None, None]:
        """Takes one of the frame's clicks out; the rest is answered anew. IndexError if there is
        no such click."""
        return prompt_edits.without_click(
            self.annotation,
            self.video,
            self.engines,
            frame,
            click_index,
            frame_key=(self._key, frame),
            stop=stop,
        )

    def segment_box(
        self,
        frame: int,
        object_id: int,
        corner: Point,
        opposite: Point,
        stop: Callable[[], bool] = never,
    ) -> Generator[Edit, None, None]:
        """What is in a box. Its clicks can be added to and taken out like others."""
        clicks = clicks_of_box(corner, opposite, self.annotation.width, self.annotation.height)
        cause = box_cause(frame, object_id, corner, opposite)
        label = self._label("Box round", object_id)

        def further(probability: NDArray[np.float32], given: Sequence[Click]) -> Click | None:
            return next_click_of_box(probability, corner, opposite, given)

        return self._answering(
            frame, object_id, clicks, label, cause, stop, is_fresh=True, further=further
        )

    def segment_scribble(
        self,
        frame: int,
        object_id: int,
        strokes: Sequence[Stroke],
        stop: Callable[[], bool] = never,
    ) -> Generator[Edit, None, None]:
        """What was scribbled on, without what was scribbled away.

        Without a scribble model, the clicks it becomes can be added to and taken out like others.
        """
        clicks = clicks_of_strokes(strokes, self.annotation.width, self.annotation.height)
        cause = scribble_cause(frame, object_id, strokes)
        label = self._label("Scribble on", object_id)
        if self.engines.settings.scribble_model is not None:
            return prompt_edits.scribbling(
                self.annotation,
                self.video,
                self.engines,
                frame,
                object_id,
                strokes,
                label=label,
                cause=self._told(cause),
                stop=stop,
            )
        return self._answering(frame, object_id, clicks, label, cause, stop)

    def _answering(
        self,
        frame: int,
        object_id: int,
        clicks: Sequence[Click],
        label: str,
        cause: Cause,
        stop: Callable[[], bool],
        *,
        is_fresh: bool = False,
        further: prompt_edits.FurtherClick | None = None,
    ) -> Generator[Edit, None, None]:
        return prompt_edits.answering(
            self.annotation,
            self.video,
            self.engines,
            frame,
            object_id,
            clicks,
            label=label,
            cause=self._told(cause),
            frame_key=(self._key, frame),
            stop=stop,
            is_fresh=is_fresh,
            further=further,
        )

    def click(
        self, frame: int, object_id: int, x: float, y: float, is_positive: bool = True
    ) -> bool:
        """Answers a click and applies the answer; False if that changed nothing."""
        return self._apply_all(self.segment_click(frame, object_id, Click(x, y, is_positive)))

    def remove_click(self, frame: int, click_index: int) -> bool:
        return self._apply_all(self.segment_without_click(frame, click_index))

    def box(self, frame: int, object_id: int, corner: Point, opposite: Point) -> bool:
        return self._apply_all(self.segment_box(frame, object_id, corner, opposite))

    def scribble(self, frame: int, object_id: int, strokes: Sequence[Stroke]) -> bool:
        return self._apply_all(self.segment_scribble(frame, object_id, strokes))

    # Many frames

    def propagation(self, request: PropagationRequest) -> Generator[Propagated, None, None]:
        """Tracks frame after frame. UserError, with the reason, if there is nothing to start from
        or nowhere to go; EngineMemoryError if a device is full and no smaller step is left."""
        from interaction.tracking.propagation_job import PropagationJob  # imports torch

        return PropagationJob(self.annotation, self.video, self.engines, request).steps()

    def propagate(
        self,
        start: int = 0,
        direction: Direction = "forward",
        until: Until = "end",
        *,
        most_frames: int | None = None,
        first: int | None = None,
        last: int | None = None,
        objects: Collection[int] | None = None,
    ) -> Iterator[int]:
        """Tracks and applies; the index of each frame that got a mask. See `PropagationRequest`."""
        chosen = None if objects is None else frozenset(objects)
        steps = self.propagation(
            PropagationRequest(start, direction, until, most_frames, first, last, chosen)
        )
        return (step.frame for step in steps if step.edit is not None and self.apply(step.edit))

    # Files

    def exporting(
        self, settings: "ExportSettings"
    ) -> "Generator[ExportProgress, None, ExportReport]":
        """Writes the masks as they are now, frame by frame; see `exporters.run.export`."""
        from interaction.formats.export import export
        from interaction.formats.format import ExportSource

        protects = () if self.project is None else (self.project.folder,)
        return export(ExportSource.of(self.annotation, self.video, protects=protects), settings)

    def export(self, format: str, target: Path | str, **settings: Any) -> "ExportReport":
        """Exports at once. format: a name in `exporters.formats.FORMATS`; settings: the other
        fields of `ExportSettings`."""
        from interaction.formats.export import ExportSettings

        steps = self.exporting(ExportSettings(format=format, target=Path(target), **settings))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                report: ExportReport = end.value
                return report

    # The end

    def flush(self, timeout_s: float | None = None) -> None:
        """Waits until everything is on disk. Raises the UserError that is in the way."""
        if self.project is not None:
            self.project.flush(timeout_s)

    def close(self, *, discards: bool = False) -> None:
        """Writes what is left and lets go of the files. May be called twice.

        Raises the UserError that is in the way of saving, and all stays open, unless `discards`:
        then what cannot be written is given up.
        """
        if self.project is not None:
            self.project.close(discards=discards)
        self.engines.models.close()
        self.video.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
