"""The state that the window shows, as one object with signals."""

from collections.abc import Callable, Collection, Mapping

from PySide6.QtCore import QObject, Signal

from gui.language import tr
from interaction.annotation.annotation import Annotation
from interaction.annotation.edits import free_id, next_color
from interaction.annotation.requests import PropagationRequest
from interaction.annotation.strokes import LEAST_RADIUS_PX
from interaction.annotation.types import Edit, ObjectInfo, Request
from interaction.answers import answer
from interaction.engines import check_limits, limits_of
from interaction.errors import UserError
from interaction.formats.looks import ViewMode
from interaction.session import Session
from interaction.tracking.trust import GOAL
from interaction.video.video import Video

__all__ = [
    "LARGEST_BRUSH_PX",
    "LEAST_GOAL",
    "MOST_GOAL",
    "WIDEST_OUTLINE_PX",
    "Document",
    "ViewMode",
]

WIDEST_OUTLINE_PX = 4  # of what a mask is drawn with
LARGEST_BRUSH_PX = 500.0
LEAST_GOAL, MOST_GOAL = 0.5, 0.99


class Document(QObject):
    """An open session and the point of view on it. Only the GUI thread touches it.

    Setters are idempotent and silent when nothing changes, so a widget may both drive a
    property and follow it without guarding against its own echo.
    """

    frame_changed = Signal(int)
    current_object_changed = Signal(int)  # 0: none
    tool_changed = Signal(str)
    view_mode_changed = Signal(ViewMode)
    range_changed = Signal()
    opacity_changed = Signal(float)
    brush_changed = Signal(float)  # radius in source pixels
    solo_changed = Signal(int)  # 0: all visible objects are shown
    onion_skin_changed = Signal(bool)
    hatching_changed = Signal(bool)
    covered_changed = Signal(bool)
    outline_changed = Signal()
    goal_changed = Signal(float)
    layer_changed = Signal(str)  # path of the picture of ViewMode.LAYER

    masks_changed = Signal(set)  # frame indices
    objects_changed = Signal()
    history_changed = Signal()
    edited = Signal(object)  # the Edit that was just made; not for undo and redo
    travelled = Signal()  # something was undone or redone
    failed = Signal(object)  # the Exception of what was requested; never for what was cancelled
    noticed = Signal(str)  # something to know that is no error
    offered = Signal(str, str, object)  # the same, a button's text, and what to call for it
    follow_changed = Signal(bool)
    blends_changed = Signal(bool)
    keeping_changed = Signal(bool)
    memory_limits_changed = Signal()
    memory_rules_changed = Signal()  # which frames it must hold, and which not

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        # The point of view: to read; the setters below change it.
        self.frame = 0
        self.current_object = self.objects[0].id if self.objects else 0  # of clicks; 0: none yet
        self.tool = "click"  # that the mouse drives on the picture, see `gui.canvas.tools`
        self.view_mode = ViewMode.OVERLAY
        self.range_in: int | None = None  # the first frame that work is limited to; None: no limit
        self.range_out: int | None = None
        self.opacity = 0.5
        self.brush_radius_px = max(4.0, min(self.video.width, self.video.height) / 40)
        self.solo = 0  # the only object that is shown; 0: all that are visible
        self.has_onion_skin = False
        self.has_hatching = False
        self.shows_covered = True  # whether pixels that other objects cover are drawn over them
        self.outline_px = 1  # on either side of an edge, in pixels of the window
        self.outline_opacity = 1.0
        self.layer = ""
        self.follows_head = False  # whether the frame that is being tracked is shown
        self.blends = True  # what is tracked between two given frames is also tracked back
        self.goal = GOAL  # the expected IoU from which on a tracked mask is good enough
        self.new_object = 0  # that the latest change has added; 0 once anything else was changed
        self._memory = session.annotation.memory

    # The session, to read

    @property
    def annotation(self) -> Annotation:
        return self.session.annotation

    @property
    def video(self) -> Video:
        return self.session.video

    @property
    def frame_count(self) -> int:
        return self.annotation.frame_count

    @property
    def objects(self) -> tuple[ObjectInfo, ...]:
        return self.session.annotation.objects

    def object(self, object_id: int) -> ObjectInfo | None:
        return next((info for info in self.objects if info.id == object_id), None)

    def is_shown(self, object_id: int) -> bool:
        """Whether the object's mask is shown: it is visible, or solo."""
        if self.solo:
            return object_id == self.solo
        info = self.object(object_id)
        return info is None or info.is_visible

    # The point of view

    def set_frame(self, frame: int) -> None:
        frame = max(0, min(frame, self.frame_count - 1))
        if frame != self.frame:
            self.frame = frame
            self.frame_changed.emit(frame)

    def set_current_object(self, object_id: int) -> None:
        """If only one object is shown, from now on it is this one."""
        if object_id and self.object(object_id) is None:
            return
        if object_id != self.current_object:
            self.current_object = object_id
            if self.solo and object_id:
                self.set_solo(object_id)
            self.current_object_changed.emit(object_id)

    def set_tool(self, tool: str) -> None:
        if tool != self.tool:
            self.tool = tool
            self.tool_changed.emit(tool)

    def set_view_mode(self, mode: ViewMode) -> None:
        if mode is not self.view_mode:
            self.view_mode = mode
            self.view_mode_changed.emit(mode)

    @property
    def has_range(self) -> bool:
        """Whether work is limited to a part of the video."""
        return (self.range_in, self.range_out) != (None, None)

    @property
    def whole_range(self) -> tuple[int, int]:
        """The first and the last frame of the range; the video's where an end is not set."""
        last = self.frame_count - 1 if self.range_out is None else self.range_out
        return self.range_in or 0, last

    def set_range(self, first: int | None, last: int | None) -> None:
        """Both inside the video; in the wrong order, the other end is given up."""
        final = self.frame_count - 1
        first = None if first is None else max(0, min(first, final))
        last = None if last is None else max(0, min(last, final))
        if first is not None and last is not None and first > last:
            if first == self.range_in:
                first = None
            else:
                last = None
        if (first, last) != (self.range_in, self.range_out):
            self.range_in, self.range_out = first, last
            self.range_changed.emit()

    def set_opacity(self, opacity: float) -> None:
        opacity = max(0.0, min(opacity, 1.0))
        if opacity != self.opacity:
            self.opacity = opacity
            self.opacity_changed.emit(opacity)

    def set_brush_radius_px(self, radius_px: float) -> None:
        radius_px = max(LEAST_RADIUS_PX, min(radius_px, LARGEST_BRUSH_PX))
        if radius_px != self.brush_radius_px:
            self.brush_radius_px = radius_px
            self.brush_changed.emit(radius_px)

    def set_solo(self, object_id: int) -> None:
        if object_id != self.solo:
            self.solo = object_id
            self.solo_changed.emit(object_id)

    def set_onion_skin(self, is_on: bool) -> None:
        if is_on != self.has_onion_skin:
            self.has_onion_skin = is_on
            self.onion_skin_changed.emit(is_on)

    def set_hatching(self, is_on: bool) -> None:
        if is_on != self.has_hatching:
            self.has_hatching = is_on
            self.hatching_changed.emit(is_on)

    def set_shows_covered(self, is_on: bool) -> None:
        if is_on != self.shows_covered:
            self.shows_covered = is_on
            self.covered_changed.emit(is_on)

    def set_outline(self, width_px: int, opacity: float) -> None:
        width_px, opacity = max(1, min(width_px, WIDEST_OUTLINE_PX)), max(0.0, min(opacity, 1.0))
        if (width_px, opacity) != (self.outline_px, self.outline_opacity):
            self.outline_px, self.outline_opacity = width_px, opacity
            self.outline_changed.emit()

    def set_layer(self, path: str) -> None:
        if path != self.layer:
            self.layer = path
            self.layer_changed.emit(path)

    def set_follows_head(self, is_on: bool) -> None:
        if is_on != self.follows_head:
            self.follows_head = is_on
            self.follow_changed.emit(is_on)

    @property
    def memory_limits(self) -> dict[str, int]:
        """Of the tracker, by the names of `interaction.engines.MEMORY_LIMITS`."""
        return limits_of(self.session.engines.settings.memory)

    def set_memory_limits(self, limits: Mapping[str, int]) -> None:
        """For this project, and kept with it, from the next frame on, also of a propagation that
        runs; none: the engines' own. ValueError for others than `check_limits` allows."""
        before, session = self.memory_limits, self.session
        session.engines.limits = check_limits(limits) if limits else {}
        if session.project is not None and not session.ledger.is_read_only:
            session.project.change_memory(session.engines.limits)
        if self.memory_limits != before:
            self.memory_limits_changed.emit()

    def set_blends(self, is_on: bool) -> None:
        if is_on != self.blends:
            self.blends = is_on
            self.blends_changed.emit(is_on)

    @property
    def keeps_probabilities(self) -> bool:
        """Whether this project keeps the networks' probabilities beside the masks."""
        return self.session.masks.keeps_probabilities

    def set_keeps_probabilities(self, is_on: bool) -> None:
        """From the next run and prompt on."""
        if is_on == self.keeps_probabilities:
            return
        try:
            self.session.masks.keeps_probabilities = is_on
        except UserError as error:
            self.failed.emit(error)
        self.keeping_changed.emit(self.keeps_probabilities)

    def set_goal(self, goal: float) -> None:
        goal = max(LEAST_GOAL, min(goal, MOST_GOAL))
        if goal != self.goal:
            self.goal = goal
            self.goal_changed.emit(goal)

    # Changes of the annotation

    def apply(self, edit: Edit) -> bool:
        """Makes and records an edit. False: its frames changed since it was made, or it changes
        nothing."""
        objects = self.objects
        if not self.session.apply(edit):
            return False
        # What is drawn where an object was absent says that it is present.
        self._announce(set(edit.frames), self.objects is not objects)
        self.edited.emit(edit)
        return True

    def do(self, request: Request) -> list[Edit]:
        """Answer a request that needs no network, and apply the answer: the edits that were."""
        try:
            edits = answer(self.session.context(), request)
            return [edit for edit in edits if self.apply(edit)]
        except UserError as error:
            self.failed.emit(error)
            return []

    def keep_both(self, objects: Collection[int]) -> None:
        """What the newest step took all pixels of stays, beneath what took them."""
        self._change(lambda: self.session.ledger.keep_both(objects), are_objects_changed=True)

    def undo(self) -> None:
        """As redo and go_to: goes to the first frame that changed, unless it is in sight."""
        self._travel(self.session.undo)

    def redo(self) -> None:
        self._travel(self.session.redo)

    def go_to(self, position: int) -> None:
        """Undoes or redoes until `position` entries of the history are in effect, or as far as
        they can be read."""
        before, problem = dict(self.annotation.records), None
        try:
            self.session.ledger.go_to(position)
        except UserError as error:
            problem = error
        now = self.annotation.records
        frames = {f for f in before.keys() | now.keys() if before.get(f) is not now.get(f)}
        self._announce(frames, are_objects_changed=True)
        self._visit(frames, None)
        if problem is not None:
            self.failed.emit(problem)

    def add_object(self, name: str | None = None) -> int:
        """A new object, which becomes the current one; 0 if there cannot be another."""
        try:
            number = free_id(self.session.annotation.objects)
            name = name or tr("Object {number}", number=number)
            object_id = self.session.add_object(name, self.next_color())
        except UserError as error:
            self.failed.emit(error)
            return 0
        self._announce(set(), are_objects_changed=True)
        self.new_object = object_id
        self.set_current_object(object_id)
        return object_id

    def next_color(self) -> tuple[int, int, int]:
        """Of a new object: one that stands out on the current frame."""
        picture = self.video.cached(self.frame)
        return next_color((info.color for info in self.objects), picture)

    def rename_object(self, object_id: int, name: str) -> None:
        """A name of nothing but spaces changes nothing, and none that of an object that is gone."""
        if name.strip() and self.object(object_id) is not None:
            self._change(lambda: self.session.objects.rename(object_id, name))

    def recolor_object(self, object_id: int, color: tuple[int, int, int]) -> None:
        """Nothing changes if the object is gone."""
        if self.object(object_id) is not None:
            self._change(lambda: self.session.objects.recolor(object_id, color))

    def set_locked(self, object_id: int, is_locked: bool) -> None:
        self._change(lambda: self.session.objects.set_locked(object_id, is_locked))

    def set_visible(self, object_id: int, is_visible: bool) -> None:
        self._change(lambda: self.session.objects.set_visible(object_id, is_visible))

    def move_object(self, object_id: int, index: int) -> None:
        self._change(lambda: self.session.objects.move(object_id, index))

    def _change(
        self, change: Callable[[], Edit | None], *, are_objects_changed: bool = False
    ) -> Edit | None:
        try:
            edit = change()
        except UserError as error:
            self.failed.emit(error)
            return None
        if edit is not None:
            is_list_new = are_objects_changed or edit.objects_after is not None
            self._announce(set(edit.frames), is_list_new)
        return edit

    def _travel(self, step: Callable[[], Edit | None]) -> None:
        edit = self._change(step)
        if edit is not None:
            cause = edit.cause
            start = cause.start if isinstance(cause, PropagationRequest) else None
            self._visit(set(edit.frames), start)

    def _visit(self, frames: set[int], start: int | None) -> None:
        """start: where a run began: it has changed nothing there, but what it has done is in sight
        from there."""
        self.travelled.emit()
        here = self.frame
        is_beside = len(frames) > 1 and bool({here - 1, here + 1} & frames)
        if frames and here not in frames and here != start and not is_beside:
            self.set_frame(min(frames))

    def _announce(self, frames: set[int], are_objects_changed: bool) -> None:
        self.new_object = 0
        if are_objects_changed:
            if self.object(self.current_object) is None:
                self.current_object = self.objects[0].id if self.objects else 0
                self.current_object_changed.emit(self.current_object)
            if self.solo and self.object(self.solo) is None:
                self.set_solo(0)
            self.objects_changed.emit()
        if self.annotation.memory != self._memory:
            self._memory = self.annotation.memory
            self.memory_rules_changed.emit()
        if frames:
            self.masks_changed.emit(frames)
        self.history_changed.emit()
