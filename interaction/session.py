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
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interaction import object_edits, prompt_edits, strokes
from interaction.annotation import Annotation
from interaction.causes import (
    Cause,
    box_cause,
    click_cause,
    fill_cause,
    scribble_cause,
    stroke_cause,
)
from interaction.engines import Engines, EngineSettings, EnginesLike
from interaction.errors import ProjectError, UserError
from interaction.frame_edits import (
    clear_edit,
    copy_edit,
    hand_edit,
    list_edit,
    status_edit,
)
from interaction.history import History
from interaction.ledger import Ledger
from interaction.object_colors import next_color
from interaction.project.layout import is_project
from interaction.project.project import Project
from interaction.project.source_info import describe_source
from interaction.project.video import Video, VideoIndex, open_video
from interaction.prompts import clicks_of_box, clicks_of_strokes
from interaction.propagation_request import (
    Direction,
    MemoryUse,
    Propagated,
    PropagationRequest,
    Until,
)
from interaction.types import Click, FrameStatus, MaskEdit, ObjectInfo, Stroke
from xmem_core.arrays import Labels

__all__ = ["MemoryUse", "Propagated", "PropagationRequest", "Session"]

Point = tuple[float, float]


def never() -> bool:
    return False


class Session:
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
        self.video, self.engines = video, engines or Engines()
        if project is None:
            annotation, history = Annotation(len(video), video.width, video.height), History()
        else:
            _check_fit(project, video)
            annotation, history = project.load_annotation(), project.load_history()
        self._ledger = Ledger(annotation, history, project)
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
                if not _is_known_place(opened, source):
                    opened.relocate(source)
                index = index or opened.load_index(source)
            video = undoing.enter_context(open_video(source, index=index))
            if project is not None and opened is None:
                info = describe_source(source, len(video), video.width, video.height)
                opened = undoing.enter_context(
                    Project.create(Path(project), info, engine=_plain(engines.settings))
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
        """A project and the video it is about.

        SourceMovedError, with the places, if that was found elsewhere: `open(place, project)` says
        that this is it. SourceMissingError, SourceChangedError, and what `Project.open` raises.
        """
        with ExitStack() as undoing:
            opened = undoing.enter_context(Project.open(Path(project), read_only=read_only))
            source = opened.find_source()
            index = index or opened.load_index(source)
            video = undoing.enter_context(open_video(source, index=index))
            opened.save_index(video.index)
            session = cls(video, project=opened, engines=engines or Engines(settings))
            undoing.pop_all()
            return session

    # What there is

    @property
    def annotation(self) -> Annotation:
        return self._ledger.annotation

    @property
    def history(self) -> History:
        return self._ledger.history

    @property
    def project(self) -> Project | None:
        """None: in memory only."""
        return self._ledger.project

    @property
    def frame_count(self) -> int:
        return self.annotation.frame_count

    @property
    def is_read_only(self) -> bool:
        return self._ledger.is_read_only

    @property
    def damages(self) -> tuple[str, ...]:
        """What was found damaged when the project was opened, in words."""
        return () if self.project is None else self.project.damages

    def doubtful_frames(self) -> list[int]:
        """Tracked frames that have any doubt, worst first."""
        tracked = [
            (-record.doubt, frame)
            for frame, record in self.annotation.records.items()
            if record.status is FrameStatus.TRACKED and record.doubt > 0
        ]
        return [frame for _, frame in sorted(tracked)]

    # Changes, all of them

    def apply(self, edit: MaskEdit) -> bool:
        """Makes and records an edit; see `Ledger.apply`."""
        return self._ledger.apply(edit)

    def undo(self) -> MaskEdit | None:
        """The edit that was applied; None at the beginning."""
        return self._ledger.undo()

    def redo(self) -> MaskEdit | None:
        """The edit that was applied; None at the end."""
        return self._ledger.redo()

    def go_to(self, position: int) -> frozenset[int]:
        """Undoes or redoes until `position` steps are in effect; returns the frames touched."""
        return self._ledger.go_to(position)

    def _applied(self, edit: MaskEdit | None) -> MaskEdit | None:
        return edit if edit is not None and self.apply(edit) else None

    # Objects

    def add_object(self, name: str | None = None, color: tuple[int, int, int] | None = None) -> int:
        """Its id, the lowest that is free. UserError if there are 255 already."""
        objects = self.annotation.objects
        object_id = object_edits.free_id(objects)
        name = name or f"Object {object_id}"
        color = color or next_color(one.color for one in objects)
        new = ObjectInfo(object_id, name, color)
        self._applied(list_edit(self.annotation, f"Add ‘{name}’", (*objects, new)))
        return object_id

    def rename_object(self, object_id: int, name: str) -> MaskEdit | None:
        """ValueError for a name of nothing but spaces."""
        if not name.strip():
            raise ValueError("an object's name must not be empty")
        return self._change_object(object_id, "Rename ‘{}’", name=name.strip())

    def recolor_object(self, object_id: int, color: tuple[int, int, int]) -> MaskEdit | None:
        if not all(0 <= part <= 255 for part in color) or len(color) != 3:
            raise ValueError(f"a color is three numbers from 0 to 255, got {color}")
        return self._change_object(object_id, "Recolour ‘{}’", color=color)

    def set_locked(self, object_id: int, is_locked: bool) -> MaskEdit | None:
        label = "Lock ‘{}’" if is_locked else "Unlock ‘{}’"
        return self._change_object(object_id, label, is_locked=is_locked)

    def set_visible(self, object_id: int, is_visible: bool) -> MaskEdit | None:
        label = "Show ‘{}’" if is_visible else "Hide ‘{}’"
        return self._change_object(object_id, label, is_visible=is_visible)

    def move_object(self, object_id: int, to_index: int) -> MaskEdit | None:
        """To another place in the list of objects."""
        one = self.annotation.object(object_id)
        objects = [other for other in self.annotation.objects if other.id != object_id]
        objects.insert(max(0, min(to_index, len(objects))), one)
        return self._applied(list_edit(self.annotation, f"Move ‘{one.name}’", tuple(objects)))

    def _change_object(self, object_id: int, label: str, **changes: object) -> MaskEdit | None:
        one = self.annotation.object(object_id)
        new = replace(one, **changes)  # type: ignore[arg-type]
        objects = tuple(new if other is one else other for other in self.annotation.objects)
        return self._applied(list_edit(self.annotation, label.format(one.name), objects))

    def deleting_object(self, object_id: int) -> Generator[MaskEdit, None, None]:
        return object_edits.deleting(self.annotation, object_id)

    def merging_objects(self, object_id: int, into: int) -> Generator[MaskEdit, None, None]:
        return object_edits.merging(self.annotation, object_id, into)

    def swapping_objects(
        self, first: int, second: int, from_frame: int = 0
    ) -> Generator[MaskEdit, None, None]:
        return object_edits.swapping(self.annotation, first, second, from_frame)

    def delete_object(self, object_id: int) -> bool:
        """False if a frame or a lock kept it from going altogether."""
        return self._apply_all(self.deleting_object(object_id))

    def merge_objects(self, object_id: int, into: int) -> bool:
        return self._apply_all(self.merging_objects(object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int = 0) -> bool:
        return self._apply_all(self.swapping_objects(first, second, from_frame))

    def split_object(self, frame: int, object_id: int) -> MaskEdit | None:
        """Each further part on this frame becomes an object. UserError if it is in one piece."""
        return self._applied(object_edits.split_edit(self.annotation, frame, object_id))

    # One frame, by hand

    def stroke(self, frame: int, object_id: int, stroke: Stroke) -> MaskEdit | None:
        """Brush or eraser. UserError if the object is locked."""
        object_edits.check_unlocked(self.annotation, object_id)
        verb = "Paint" if stroke.is_positive else "Erase"
        cause = stroke_cause(frame, object_id, stroke)
        labels = strokes.paint(
            self.annotation.labels(frame), object_id, stroke, self.annotation.locked
        )
        return self._change(frame, self._label(verb, object_id), labels, cause)

    def fill(
        self, frame: int, object_id: int, polygon: Sequence[Point], is_positive: bool = True
    ) -> MaskEdit | None:
        """The inside of a polygon, added or taken away. UserError if the object is locked."""
        object_edits.check_unlocked(self.annotation, object_id)
        cause = fill_cause(frame, object_id, polygon, is_positive)
        labels = strokes.fill_polygon(
            self.annotation.labels(frame), object_id, polygon, is_positive, self.annotation.locked
        )
        verb = "Lasso" if is_positive else "Cut out of"
        return self._change(frame, self._label(verb, object_id), labels, cause)

    def change_mask(
        self, frame: int, label: str, change: Callable[[Labels], Labels], cause: Cause
    ) -> MaskEdit | None:
        """Any other change by hand: `change` gets a copy of the labels and returns new ones."""
        labels = change(self.annotation.labels(frame).copy())
        return self._change(frame, label, labels, {"frame": frame, **cause})

    def confirm(self, frame: int) -> MaskEdit | None:
        """Declares the frame whole: what is not in its mask is not there."""
        return self._applied(status_edit(self.annotation, frame, FrameStatus.CONFIRMED))

    def unconfirm(self, frame: int) -> MaskEdit | None:
        """The mask stays, but counts as tracked: it is no longer remembered for ever, and a
        propagation may replace it."""
        return self._applied(status_edit(self.annotation, frame, FrameStatus.TRACKED))

    def clear_frame(self, frame: int, object_id: int | None = None) -> MaskEdit | None:
        """Takes one object, or all that are not locked, off the frame."""
        label = "Clear frame"
        if object_id is not None:
            object_edits.check_unlocked(self.annotation, object_id)
            label = self._label("Clear", object_id)
        return self._applied(clear_edit(self.annotation, frame, object_id, label))

    def copy_mask(
        self, from_frame: int, to_frame: int, object_id: int | None = None
    ) -> MaskEdit | None:
        """All objects of another frame in place of this one's, or one object."""
        if object_id is not None:
            object_edits.check_unlocked(self.annotation, object_id)
        return self._applied(copy_edit(self.annotation, from_frame, to_frame, object_id))

    def _change(self, frame: int, label: str, labels: Labels, cause: Cause) -> MaskEdit | None:
        return self._applied(hand_edit(self.annotation, frame, label, labels, self._told(cause)))

    def _label(self, verb: str, object_id: int) -> str:
        return f"{verb} ‘{self.annotation.object(object_id).name}’"

    def _told(self, cause: Cause) -> Cause:
        """With what is locked now, if anything is: see `_leaves_locked`."""
        locked = sorted(self.annotation.locked)
        return {**cause, "locked": locked} if locked else cause

    # The click network

    def segment_click(
        self, frame: int, object_id: int, click: Click, stop: Callable[[], bool] = never
    ) -> Generator[MaskEdit, None, None]:
        """stop: asked often; once it says so, nothing is yielded. UserError if the object is
        locked, ValueError for a click outside the frame."""
        cause = click_cause(frame, object_id, click)
        label = self._label("Click on", object_id)
        return self._answering(frame, object_id, (click,), label, cause, stop)

    def segment_without_click(
        self, frame: int, click_index: int, stop: Callable[[], bool] = never
    ) -> Generator[MaskEdit, None, None]:
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
    ) -> Generator[MaskEdit, None, None]:
        """What is in a box. Its clicks can be added to and taken out like others."""
        clicks = clicks_of_box(corner, opposite, self.annotation.width, self.annotation.height)
        cause = box_cause(frame, object_id, corner, opposite)
        label = self._label("Box round", object_id)
        return self._answering(frame, object_id, clicks, label, cause, stop, is_fresh=True)

    def segment_scribble(
        self,
        frame: int,
        object_id: int,
        strokes: Sequence[Stroke],
        stop: Callable[[], bool] = never,
    ) -> Generator[MaskEdit, None, None]:
        """What was scribbled on, without what was scribbled away."""
        clicks = clicks_of_strokes(strokes, self.annotation.width, self.annotation.height)
        cause = scribble_cause(frame, object_id, strokes)
        label = self._label("Scribble on", object_id)
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
    ) -> Generator[MaskEdit, None, None]:
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
        from interaction.propagation_job import PropagationJob  # imports torch

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

    def surgery(
        self,
        label: str,
        frames: Collection[int],
        change: Callable[[int, Labels], Labels],
        cause: Cause,
    ) -> Generator[MaskEdit, None, None]:
        """`change(frame, labels)` on each frame that has a mask, as one step of the history;
        frames keep their status, locked objects their pixels."""
        return object_edits.surgery(self.annotation, label, frames, change, self._told(cause))

    def _apply_all(self, edits: Iterable[MaskEdit]) -> bool:
        results = [self.apply(edit) for edit in edits]
        return bool(results) and all(results)

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


def _check_fit(project: Project, video: Video) -> None:
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


def _is_known_place(project: Project, source: Path) -> bool:
    """Whether the project's video is this very file, unchanged."""
    try:
        return project.find_source().samefile(source)
    except (OSError, UserError):
        return False


def _plain(settings: EngineSettings) -> dict[str, Any]:
    """For the project: what its masks were first made with."""
    plain = asdict(settings)
    return {name: plain[name] for name in sorted(plain)}
