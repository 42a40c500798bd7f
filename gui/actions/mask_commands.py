"""What the actions on masks, objects, tracking and frames do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QInputDialog

from gui.actions.handlers import ActionHandlers, doubtful_after, keyframe_after, keyframe_before, tr
from gui.work.document import Tool

__all__ = ["MaskCommands"]

_BRUSH_FACTOR = 1.2


class MaskCommands(ActionHandlers):
    """Handlers by the action's id, for actions that need a project: they are off without one."""

    def handlers(self) -> dict[str, Callable[[], object]]:
        return {
            **self._edit(),
            **self._tools(),
            **self._objects(),
            **self._track(),
            **self._go(),
        }

    # Masks

    def _edit(self) -> dict[str, Callable[[], object]]:
        return {
            "edit.undo": self._undo,
            "edit.redo": lambda: self._annotator.redo(),
            "edit.stop": self._stop,
            "edit.copy_previous": lambda: self._copy_mask(-1),
            "edit.copy_next": lambda: self._copy_mask(1),
            "edit.clear_object": lambda: self._annotator.clear_frame(self._document.current_object),
            "edit.clear_frame": lambda: self._annotator.clear_frame(),
            "edit.fill_holes": lambda: self._annotator.fill_holes(),
            "edit.remove_specks": lambda: self._annotator.remove_specks(),
            "edit.grow": lambda: self._annotator.grow(1),
            "edit.shrink": lambda: self._annotator.grow(-1),
            "edit.smooth": lambda: self._annotator.smooth(),
        }

    def _undo(self) -> None:
        """While the mouse is held, what it is doing; nothing that was done before."""
        workspace = self._workspace
        if not (workspace.canvas.take_back_gesture() or workspace.timeline.abandon_drag()):
            self._annotator.undo()

    def _stop(self) -> None:
        """Escape: the nearest thing first."""
        workspace = self._workspace
        if workspace.canvas.cancel_gesture() or workspace.timeline.abandon_drag():
            return
        if workspace.player.is_playing:
            workspace.player.stop()
        elif not self._annotator.cancel():
            self._annotator.remove_last_click()

    def _copy_mask(self, way: int) -> None:
        """From the nearest frame in that direction that has a mask."""
        document = self._document
        frames = document.annotation.records
        around = (
            range(document.frame - 1, -1, -1)
            if way < 0
            else range(document.frame + 1, document.frame_count)
        )
        source = next((frame for frame in around if frame in frames), None)
        if source is None:
            self._annotator.noticed.emit(tr("No frame in that direction has a mask."))
        else:
            self._annotator.copy_mask(source)

    def _tools(self) -> dict[str, Callable[[], object]]:
        handlers: dict[str, Callable[[], object]] = {
            f"tool.{tool.value}": partial(self._choose_tool, tool) for tool in Tool
        }
        handlers["tool.smaller"] = lambda: self._scale_brush(1 / _BRUSH_FACTOR)
        handlers["tool.larger"] = lambda: self._scale_brush(_BRUSH_FACTOR)
        return handlers

    def _choose_tool(self, tool: Tool) -> None:
        self._document.set_tool(tool)

    def _scale_brush(self, factor: float) -> None:
        self._document.set_brush_radius_px(self._document.brush_radius_px * factor)

    # Objects

    def _objects(self) -> dict[str, Callable[[], object]]:
        return {
            "object.add": lambda: self._document.add_object(),
            "object.rename": self._rename,
            "object.recolor": self._recolor,
            "object.lock": self._lock,
            "object.hide": self._hide,
            "object.solo": self._solo,
            "object.next": lambda: self._step_object(1),
            "object.previous": lambda: self._step_object(-1),
            "object.find": lambda: self._workspace.objects_panel.focus_search(),
            "object.split": lambda: self._annotator.split_object(self._document.current_object),
            "object.merge": self._merge,
            "object.swap": self._swap,
            "object.delete": lambda: self._annotator.delete_object(self._document.current_object),
        }

    def _rename(self) -> None:
        one = self._document.object(self._document.current_object)
        if one is None:
            return
        name, is_given = QInputDialog.getText(
            self._window, tr("Rename"), tr("Name of the object:"), text=one.name
        )
        if is_given and name.strip():
            self._document.rename_object(one.id, name)

    def _recolor(self) -> None:
        one = self._document.object(self._document.current_object)
        if one is None:
            return
        color = QColorDialog.getColor(QColor(*one.color), self._window, tr("Colour"))
        if color.isValid():
            self._document.recolor_object(one.id, (color.red(), color.green(), color.blue()))

    def _lock(self) -> None:
        one = self._document.object(self._document.current_object)
        if one is not None:
            self._document.set_locked(one.id, not one.is_locked)

    def _hide(self) -> None:
        one = self._document.object(self._document.current_object)
        if one is not None:
            self._document.set_visible(one.id, not one.is_visible)

    def _solo(self) -> None:
        current = self._document.current_object
        self._document.set_solo(0 if self._document.solo == current else current)

    def _step_object(self, step: int) -> None:
        ids = [one.id for one in self._document.objects]
        if ids:
            current = self._document.current_object
            index = ids.index(current) if current in ids else 0
            self._document.set_current_object(ids[(index + step) % len(ids)])

    def choose_object(self, index: int) -> None:
        """The digit keys: the object at that place of the list."""
        if index < len(self._document.objects):
            self._document.set_current_object(self._document.objects[index].id)

    def _merge(self) -> None:
        other = self._other_object(tr("Merge into"))
        if other:
            self._annotator.merge_objects(self._document.current_object, other)

    def _swap(self) -> None:
        other = self._other_object(tr("Swap with, from this frame on"))
        if other:
            document = self._document
            self._annotator.swap_objects(document.current_object, other, document.frame)

    def _other_object(self, title: str) -> int:
        """Another object that the annotator chooses; 0: none."""
        others = [one for one in self._document.objects if one.id != self._document.current_object]
        if not others:
            self._annotator.noticed.emit(tr("There is no other object."))
            return 0
        names = [f"{one.id}  {one.name}" for one in others]
        chosen, is_given = QInputDialog.getItem(
            self._window, title, tr("Object:"), names, editable=False
        )
        return others[names.index(chosen)].id if is_given else 0

    # Tracking

    def _track(self) -> dict[str, Callable[[], object]]:
        return {
            "track.forward": lambda: self._workspace.propagation_panel.start("forward"),
            "track.backward": lambda: self._workspace.propagation_panel.start("backward"),
            "track.both": lambda: self._workspace.propagation_panel.start("both"),
            "track.settle": lambda: self._annotator.propagate(
                "both", "settled", objects=self._workspace.propagation_panel.objects
            ),
            "track.one": self._track_one,
            "track.pause": self._pause,
            "track.cancel": lambda: self._annotator.cancel(),
            "track.learn": lambda: self._annotator.learn(),
            "track.forget": lambda: self._annotator.forget_learned(),
            "track.confirm": lambda: self._annotator.confirm(),
            "track.unconfirm": lambda: self._annotator.unconfirm(),
        }

    def _track_one(self) -> None:
        objects = self._workspace.propagation_panel.objects
        self._annotator.propagate("forward", most_frames=1, objects=objects, follows=True)

    def _pause(self) -> None:
        if self._annotator.is_paused:
            self._annotator.resume()
        else:
            self._annotator.pause()

    # Frames

    def _go(self) -> dict[str, Callable[[], object]]:
        return {
            "go.play": self.play,
            "go.reverse": lambda: self._workspace.player.shuttle("J"),
            "go.next": lambda: self._step(1),
            "go.previous": lambda: self._step(-1),
            "go.next10": lambda: self._step(10),
            "go.previous10": lambda: self._step(-10),
            "go.first": lambda: self._go_to(0),
            "go.last": lambda: self._go_to(self._document.frame_count - 1),
            "go.frame": lambda: self._workspace.transport.focus_frame_box(),
            "go.next_key": lambda: self._go_to(keyframe_after(self._document)),
            "go.previous_key": lambda: self._go_to(keyframe_before(self._document)),
            "go.doubtful": self._doubtful,
            "go.set_in": lambda: self._document.set_range(
                self._document.frame, self._document.range_out
            ),
            "go.set_out": lambda: self._document.set_range(
                self._document.range_in, self._document.frame
            ),
            "go.clear_range": lambda: self._document.set_range(None, None),
        }

    def play(self) -> None:
        """Space plays; while it tracks or learns it pauses that, as in the published program."""
        if self._annotator.is_running:
            self._pause()
        else:
            self._workspace.player.toggle()

    def _step(self, frames: int) -> None:
        self._go_to(self._document.frame + frames)

    def _go_to(self, frame: int | None) -> None:
        """Also from a video that plays: whoever asks for a frame wants to look at it."""
        if frame is not None:
            self._workspace.player.stop()
            self._document.set_frame(frame)

    def _doubtful(self) -> None:
        frame = doubtful_after(self._document)
        if frame is None:
            self._annotator.noticed.emit(tr("No tracked frame is in doubt."))
        else:
            self._go_to(frame)
