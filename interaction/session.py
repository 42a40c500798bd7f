"""A project that is open: what scripts, the command line and the window work with.

    with Session.open("bear.mp4", "bear.vos") as session:
        bear = session.add_object("bear")
        session.click(0, bear, 412, 240)
        for frame, labels in session.propagate(0):
            ...

Methods compute and apply at once, on the calling thread. The window runs the same requests step by
step on another thread, see `interaction.answers`.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation
from interaction.annotation.edits import hand_edit
from interaction.annotation.history import History
from interaction.annotation.labels import Label
from interaction.annotation.mattes import Opacity, kept_probabilities
from interaction.annotation.overlaps import region
from interaction.annotation.requests import (
    AbsenceProposal,
    BoxRequest,
    ClickRequest,
    Direction,
    MaskRequest,
    Propagated,
    PropagationRequest,
    RemoveClickRequest,
    ScribbleRequest,
    Until,
)
from interaction.annotation.types import Click, Edit, Point, Request, Stroke
from interaction.answers import (
    EditContext,
    answer,
    covered_passes,
    propagation,
    propagation_forecast,
    resumption,
)
from interaction.engines import Engines, EngineSettings, Networks, check_limits
from interaction.errors import ProjectError, UserError
from interaction.learning.learned import LearnedEngines, LearnedModels, LearningStep, learning
from interaction.ledger import Ledger, ObjectList
from interaction.project.layout import is_project
from interaction.project.manifest import describe_source
from interaction.project.project import Project
from interaction.project.workspace import (
    is_workspace,
    workspace_edits,
    workspace_images,
    workspace_project,
)
from interaction.steps import finish
from interaction.tracking.trust import GOAL, NextFrame, next_frames
from interaction.video.decoder import VideoIndex
from interaction.video.video import Video, open_video
from xmem_core.arrays import Labels

if TYPE_CHECKING:
    from interaction.formats.export import ExportReport
    from interaction.formats.import_plan import ImportChoices
    from interaction.tracking.governor import Forecast

log = logging.getLogger(__name__)


def check_fit(project: Project, video: Video) -> None:
    """Raises ProjectError if the video has not the frames that the project is about."""
    source = project.source
    shape = len(video), video.width, video.height
    if (source.frame_count, source.width, source.height) != shape:
        raise ProjectError(
            "The project “{name}” is about {count} frames of {width}x{height} pixels; “{video}” "
            "has {found_count} of {found_width}x{found_height}. Nothing was changed.\n\n"
            "Open the project with the video that it was made for.",
            name=project.name,
            count=source.frame_count,
            width=source.width,
            height=source.height,
            video=video.path.name,
            found_count=len(video),
            found_width=video.width,
            found_height=video.height,
        )


def is_known_place(project: Project, source: Path) -> bool:
    """Whether the project's video is this very file, unchanged."""
    try:
        return project.view.find_source().samefile(source)
    except (OSError, UserError):
        return False


def plain_settings(settings: EngineSettings) -> dict[str, object]:
    """For the project: what its masks were first made with."""
    return dict(sorted(asdict(settings).items()))


class Masks:
    """`masks[frame]`: (H, W) uint8 object ids, read-only; zeros where nothing was annotated.
    IndexError outside the video."""

    def __init__(self, annotation: Annotation, project: Project | None = None) -> None:
        self._annotation, self._project = annotation, project
        self._keeps = project is not None and project.view.manifest.keeps_probabilities

    def __len__(self) -> int:
        return self._annotation.frame_count

    def __getitem__(self, frame: int) -> Labels:
        return self._annotation.labels(frame)

    def region(self, frame: int, object_id: int) -> NDArray[np.bool_]:
        """(H, W): all pixels of the object on the frame, also those that others cover."""
        return region(self._annotation.stack(frame), object_id)

    @property
    def keeps_probabilities(self) -> bool:
        """Whether tracking and prompts keep the networks' probabilities beside the masks, in 8
        bits near the outlines: exports with soft edges use them. Kept with the project."""
        return self._keeps

    @keeps_probabilities.setter
    def keeps_probabilities(self, keeps: bool) -> None:
        if keeps == self._keeps:
            return
        self._keeps = keeps
        if self._project is not None and not self._project.is_read_only:
            self._project.keep_probabilities(keeps)

    def opacity(self, frame: int, object_id: int) -> Opacity | None:
        """What was kept of the object's probability on a frame; None where nothing was."""
        record = self._annotation.record(frame)
        return kept_probabilities(record, object_id, self.region(frame, object_id))


@dataclass(frozen=True, slots=True)
class TrackedMasks:
    """(frame, labels) of each frame that a propagation gave a mask, in the order of travel.

    Labels, (H, W) uint8, are decoded one at a time, as they are when they are asked for.
    """

    masks: Masks
    frames: tuple[int, ...]
    absences: tuple[AbsenceProposal, ...] = ()  # where an object shrank to specks

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[tuple[int, Labels]]:
        return ((frame, self.masks[frame]) for frame in self.frames)


class Session:
    """`Session.open(video)` keeps everything in memory; with a folder, everything is on disk at
    once and still there, history included, when it is opened again.

    ledger: what applies, undoes and records edits. objects: the list of objects. masks: the frames'
    labels, `session.masks[frame]`. engines: the networks.
    """

    def __init__(
        self, video: Video, *, project: Project | None = None, engines: Networks | None = None
    ) -> None:
        """ProjectError if the project is about a video of another length or size."""
        self.video = video
        learned = None if project is None else project.view.layout.learned
        is_read_only = project is not None and project.is_read_only
        models = LearnedModels(learned, is_read_only=is_read_only)
        self.engines = LearnedEngines(engines or Engines(), models)
        if project is not None and project.view.manifest.memory:
            try:
                self.engines.limits = check_limits(project.view.manifest.memory)
            except ValueError as error:
                log.warning("The project's memory limits are not used: %s", error)
        if project is None:
            annotation = Annotation(len(video), video.width, video.height)
        else:
            check_fit(project, video)
            annotation = project.load_annotation()
        self.ledger = Ledger(annotation, project)
        self.objects = ObjectList(self.ledger)
        self.masks = Masks(annotation, project)
        self._key = uuid.uuid4().hex  # tells this session's frames from another's
        outside = (
            None if project is None or project.is_read_only else project.view.outside_changes()
        )
        if outside is not None:
            self.apply(outside)

    @classmethod
    def open(
        cls,
        source: Path | str,
        project: Path | str | None = None,
        *,
        settings: EngineSettings | None = None,
        engines: Networks | None = None,
        index: VideoIndex | None = None,
        creates_late: bool = False,
    ) -> "Session":
        """A video file or a folder of pictures, and the project about it, made if there is none.

        project: None keeps the work in memory only. A project that was about the same video in
        another place notes the new one. engines: to share loaded networks between sessions.
        index: what `index_video` returned for this source, where that was run before.
        creates_late: a new project's folder is made with the first edit.
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
                index = index or opened.view.load_index(source)
            video = undoing.enter_context(open_video(source, index=index))
            if project is not None and opened is None:
                info = describe_source(source, len(video), video.width, video.height)
                engine = plain_settings(engines.settings)
                opened = undoing.enter_context(
                    Project.create(Path(project), info, engine=engine, is_late=creates_late)
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
        engines: Networks | None = None,
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
            source = opened.view.find_source()
            index = index or opened.view.load_index(source)
            video = undoing.enter_context(open_video(source, index=index))
            opened.save_index(video.index)
            session = cls(video, project=opened, engines=engines or Engines(settings))
            undoing.pop_all()
            return session

    @classmethod
    def _from_workspace(
        cls, folder: Path, engines: Networks, index: VideoIndex | None
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

    # State

    @property
    def annotation(self) -> Annotation:
        return self.ledger.annotation

    @property
    def history(self) -> History:
        return self.ledger.history

    @property
    def project(self) -> Project | None:
        return self.ledger.project

    @property
    def frame_count(self) -> int:
        return self.annotation.frame_count

    # Edits

    def context(self, stop: Callable[[], bool] = lambda: False) -> EditContext:
        """For `interaction.answers`. stop: asked often while a request is answered."""
        project = self.project
        unfinished = None
        if project is not None and not project.is_read_only:
            unfinished = project.view.layout.unfinished
        return EditContext(
            self.annotation,
            self.video,
            self.engines,
            self._key,
            stop,
            unfinished=unfinished,
            history=self.history,
            keeps_probabilities=self.masks.keeps_probabilities,
        )

    def do(self, request: Request) -> bool:
        """Answers a request and applies the answer. False if that changed nothing, or a frame or a
        lock kept a part of it from being done. Raises as `interaction.answers.answer`."""
        results = [self.apply(edit) for edit in answer(self.context(), request)]
        return bool(results) and all(results)

    def apply(self, edit: Edit) -> bool:
        """See `Ledger.apply`."""
        return self.ledger.apply(edit)

    def undo(self) -> Edit | None:
        """See `Ledger.undo`."""
        return self.ledger.undo()

    def redo(self) -> Edit | None:
        """See `Ledger.redo`."""
        return self.ledger.redo()

    # For scripts

    def add_object(self, name: str | None = None, color: tuple[int, int, int] | None = None) -> int:
        """Its id, 1 to 255. color: RGB, 0..255."""
        return self.objects.add(name, color)

    def click(
        self, frame: int, object_id: int, x: float, y: float, is_positive: bool = True
    ) -> Labels:
        """The frame's labels, (H, W) uint8, after one more click at (x, y), in source pixels.

        UserError if the object is locked, KeyError for an unknown object, IndexError for an unknown
        frame, ValueError for a click outside the frame.
        """
        self.do(ClickRequest(frame, object_id, Click(x, y, is_positive)))
        return self.masks[frame]

    def remove_click(self, frame: int, index: int) -> Labels:
        """The frame's labels without one of its clicks. IndexError if there is no such click."""
        self.do(RemoveClickRequest(frame, index))
        return self.masks[frame]

    def box(self, frame: int, object_id: int, corner: Point, opposite: Point) -> Labels:
        """The frame's labels after cutting out what a box holds; raises as `click`."""
        self.do(BoxRequest(frame, object_id, corner, opposite))
        return self.masks[frame]

    def scribble(self, frame: int, object_id: int, strokes: Sequence[Stroke]) -> Labels:
        """The frame's labels after scribbles on the object, and beside it; raises as `click`."""
        self.do(ScribbleRequest(frame, object_id, tuple(strokes)))
        return self.masks[frame]

    def set_mask(self, frame: int, labels: Labels) -> Labels:
        """Gives the frame a mask, (H, W) uint8 object ids; returns its labels then, in which locked
        objects are as they were. ValueError for another size or type, or an unknown object."""
        edit = hand_edit(self.annotation, frame, Label("set_mask"), labels, MaskRequest(frame))
        if edit is not None:
            self.apply(edit)
        return self.masks[frame]

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
        looks_closer: bool = False,
        blends: bool = True,
        brakes: bool = False,
        resumes: bool = False,
        reports_memory: bool = False,
        on_step: Callable[[Propagated], object] = lambda step: None,
    ) -> TrackedMasks:
        """Tracks from a frame, see `PropagationRequest`; returns (frame, labels) of each frame that
        got a mask.

        brakes: stop at a cut, and where a mask collapses, explodes or jumps; the last step has the
        reason. resumes: go on exactly with the one that was stopped last, also before the project
        was closed; the other parameters are not used. reports_memory: each step says in
        `remembered` which frames memory holds and what each gives. on_step: called after each
        frame, whose mask is in `masks` by then. What it raises stops the propagation; every
        finished frame is kept. Raises as `interaction.answers.propagation` and `resumption`.
        """
        chosen = None if objects is None else frozenset(objects)
        request = PropagationRequest(
            start,
            direction,
            until,
            most_frames,
            first,
            last,
            chosen,
            looks_closer=looks_closer,
            blends=blends,
        )
        frames: dict[int, None] = {}
        context = replace(self.context(), reports_memory=lambda: reports_memory)

        def follow(steps: Generator[Propagated, None, None]) -> Propagated | None:
            step = None
            with closing(steps):
                for step in steps:
                    if step.edit is not None and self.apply(step.edit):
                        frames[step.frame] = None
                    on_step(step)
                    if brakes and step.brake is not None:
                        break
            return step

        newest = follow(resumption(context) if resumes else propagation(context, request))
        if newest is not None and brakes and newest.brake is not None and newest.so_far is not None:
            follow(covered_passes(context, newest.so_far))
        absences = () if newest is None else newest.absences
        return TrackedMasks(self.masks, tuple(frames), absences)

    def forecast(
        self, request: PropagationRequest | None = None, *, measures: bool = False
    ) -> "Forecast":
        """Memory, disk and time that a propagation will need on this machine, and what would be
        changed to make it fit. request: by default from the first frame to the end. measures:
        track its first frames for that; no mask is kept. Raises as `propagate`."""
        folder = None if self.project is None else self.project.folder
        asked = request or PropagationRequest(0)
        return finish(propagation_forecast(self.context(), asked, folder, measures=measures))

    def learn(
        self,
        steps: int | None = None,
        *,
        on_step: Callable[[LearningStep], object] = lambda _: None,
    ) -> int:
        """The networks learn from the corrected and confirmed frames: from how many. What is asked
        for afterwards uses it; masks stay. Raises as `interaction.learning.learned.learning`."""
        seed = self.history.position
        work = learning(self.annotation, self.video, self.engines, steps=steps, seed=seed)
        with closing(work):
            for step in work:
                on_step(step)
        return self.engines.models.frames

    def next_frames(self, *, goal: float = GOAL, most: int = 20) -> list[NextFrame]:
        """The frames whose annotation would repair most, best first; empty once no tracked mask is
        expected below `goal`, an IoU."""
        return next_frames(self.annotation, goal=goal, most=most)

    # Files

    def import_masks(
        self, path: Path | str, choices: "ImportChoices | None" = None
    ) -> frozenset[int]:
        """Reads masks in any known format, a folder or a file; the frames that changed. One step
        of the history. UserError if nothing in `path` can be used, or a file is damaged."""
        from interaction.formats.import_masks import planned_edits
        from interaction.formats.import_plan import ImportChoices, plan_import, preview_import

        preview = preview_import(Path(path), self.video, self.annotation)
        changed: set[int] = set()
        for edit in planned_edits(
            plan_import(preview, self.annotation, choices or ImportChoices())
        ):
            if self.apply(edit):
                changed |= edit.frames
        return frozenset(changed)

    def export(self, format: str, target: Path | str, **settings: Any) -> "ExportReport":
        """Writes the masks for another program. format: a name in `interaction.formats.export`;
        settings: the other fields of `ExportSettings`."""
        from interaction.formats.export import ExportSettings, export
        from interaction.formats.format import ExportSource

        protects = () if self.project is None else (self.project.folder,)
        source = ExportSource.of(self.annotation, self.video, protects=protects)
        return finish(
            export(source, ExportSettings(format=format, target=Path(target), **settings))
        )

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

    def __exit__(self, *_: object) -> None:
        self.close()
