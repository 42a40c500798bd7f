"""What each action does. Dialogs are imported when they are first opened.

A question about a project has its workspace as parent: it is taken back, as if it were cancelled,
when the project closes, as it does once another video that was being opened is there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QInputDialog

from gui.actions.table import ACTIONS, Needs, view_action
from gui.errors import Offer
from gui.language import tr
from gui.panels.next_frames import next_frames_state
from gui.panels.object_table import Column
from gui.timeline.cuts import Cuts
from gui.timeline.frame_table import FrameTable
from gui.window.opening import PROJECT_SUFFIX
from gui.window.workspace import Workspace
from gui.work.document import Document, ViewMode
from gui.work.hand import SPECK_PX, SURGERY
from gui.work.operations import Busy, Kind, Operation
from gui.work.struggle import Trouble
from interaction.annotation.requests import Operation as SurgeryName
from interaction.annotation.types import MemoryRule, ObjectInfo, PresenceState
from interaction.models import default_store
from interaction.project.project import copy_project
from xmem_core.messages import Message

if TYPE_CHECKING:
    from gui.window.main_window import MainWindow

__all__ = ["choose_object", "handlers", "offer_help", "play", "state_of", "verify_export"]

_OPACITY_STEP: Final = 0.1
_BRUSH_FACTOR: Final = 1.2
_VIDEO_SUFFIXES: Final = (
    "*.mp4 *.mov *.mkv *.avi *.webm *.m4v *.mpg *.mpeg *.mts *.m2ts *.wmv *.flv *.gif *.mxf *.ogv"
)
_PICTURE_SUFFIXES: Final = "*.png *.jpg *.jpeg *.webp *.bmp *.tif *.tiff"


def state_of(workspace: Workspace | None) -> Needs:
    """All flags that are true now."""
    if workspace is None:
        return Needs.NOTHING
    document, session = workspace.document, workspace.session
    operations = workspace.annotator.operations
    record = document.annotation.record(document.frame)
    prompts = record.prompts
    flags = {
        Needs.PROJECT: True,
        Needs.WRITABLE: not session.ledger.is_read_only,
        Needs.OBJECT: document.current_object != 0,
        Needs.MASK: record.mask is not None,
        Needs.IDLE: operations.is_free,
        Needs.RUN: operations.is_running,
        Needs.BUSY: operations.busy is not Busy.IDLE
        or (prompts is not None and prompts.object_id == document.current_object)
        or workspace.player.is_playing,
        Needs.UNDO: session.history.can_undo and not session.ledger.is_read_only,
        Needs.REDO: session.history.can_redo and not session.ledger.is_read_only,
        Needs.GIVEN: FrameTable.of(document).frames_to_learn_from > 0,
        Needs.LEARNED: not session.engines.models.is_empty,
    }
    return reduce(or_, (flag for flag, is_set in flags.items() if is_set))


def handlers(window: MainWindow) -> dict[str, Callable[[], object]]:
    """By the action's id. An action that needs a project does nothing while there is none."""

    def on_workspace(do: Callable[[Workspace], object]) -> Callable[[], None]:
        def call() -> None:
            if window.workspace is not None:
                do(window.workspace)

        return call

    return {
        **{name: partial(do, window) for name, do in _ON_WINDOW.items()},
        **{name: on_workspace(partial(do, window)) for name, do in _ON_BOTH.items()},
        **{name: on_workspace(do) for name, do in _ON_WORKSPACE.items()},
    }


# Files


def _open_video(window: MainWindow) -> None:
    path, _ = QFileDialog.getOpenFileName(
        window,
        tr("Open video"),
        window.preferences.last_folder,
        f"{tr('Videos')} ({_VIDEO_SUFFIXES} *.apng *.webp);;{tr('All files')} (*)",
    )
    if path:
        window.open_path(path)


def _open_folder(window: MainWindow, title: str = "") -> None:
    path = QFileDialog.getExistingDirectory(
        window, title or tr("Open folder of pictures"), window.preferences.last_folder
    )
    if path:
        window.open_path(path)


def _import(window: MainWindow, workspace: Workspace) -> None:
    from gui.dialogs.import_masks import ImportDialog

    ImportDialog(workspace.document, workspace.annotator, window.preferences, workspace).open()


def _export(window: MainWindow, workspace: Workspace) -> None:
    from gui.dialogs.export import ExportDialog

    ExportDialog(workspace.document, workspace.annotator, window.preferences, workspace).open()


def _verify(window: MainWindow, workspace: Workspace) -> None:
    path, _ = QFileDialog.getOpenFileName(
        workspace,
        tr("List of frames of an export"),
        window.preferences.last_folder,
        f"{tr('Lists of frames')} (*frames.csv)",
    )
    if path:
        verify_export(workspace, Path(path))


def verify_export(workspace: Workspace, path: Path) -> None:
    """path: the list of frames. Says the result over the picture."""
    from interaction.formats.verify import VerifyReport, verify

    reports: list[VerifyReport] = []

    def steps() -> Generator[int, None, None]:
        reports.append((yield from verify(path, workspace.session.video)))

    def show() -> None:
        lines = [tr(line) for line in reports[0].lines()]
        if reports[0].belongs:
            workspace.document.noticed.emit("\n".join(lines))
        else:
            workspace.show_error(lines[0], "\n".join(lines[1:]), lasts=True)

    _do_with_files(workspace, steps, show)


def _do_with_files(
    workspace: Workspace,
    steps: Callable[[], Generator[object, None, None]],
    then: Callable[[], None],
) -> None:
    """Take the steps on the thread for files, and when they are done without an error, `then`."""

    def end(error: Exception | None) -> None:
        if error is None:
            then()

    if not workspace.annotator.operations.start(Operation(Kind.FILE, steps, on_end=end)):
        workspace.document.noticed.emit(tr("Something is being written. Wait until it is done."))


def _save_version(workspace: Workspace) -> None:
    from gui.dialogs.versions import VersionsDialog

    VersionsDialog(workspace.document, workspace.annotator, workspace).open()


def _save_copy(window: MainWindow, workspace: Workspace) -> None:
    """Continues in the copy; also the way on from a project that can only be read."""
    project, annotation = workspace.session.project, workspace.document.annotation
    if project is None:
        return
    suggested = project.folder.with_name(f"{project.folder.stem} copy{PROJECT_SUFFIX}")
    path, _ = QFileDialog.getSaveFileName(workspace, tr("Save as a new project"), str(suggested))
    if not path:
        return

    def steps() -> Generator[None, None, None]:
        copy_project(project, annotation, Path(path))
        yield

    _do_with_files(workspace, steps, lambda: window.open_path(path))


def _preferences(window: MainWindow) -> None:
    from gui.dialogs.preferences import PreferencesDialog

    PreferencesDialog(window.preferences, window.actions_table, window).open()


def _models(window: MainWindow) -> None:
    from gui.dialogs.models import ModelsDialog

    ModelsDialog(window.preferences, window).open()


def offer_help(window: MainWindow, workspace: Workspace, trouble: Trouble) -> None:
    """What would help the tracker: to learn from the given frames, or stronger weights."""
    from gui.dialogs.models import ModelsDialog, needs_text, stronger_tracker

    offers: list[Offer] = []
    lines = [trouble.text]
    if (
        FrameTable.of(workspace.document).frames_to_learn_from
        and not workspace.session.ledger.is_read_only
    ):
        offers.append((tr("Learn from these frames"), workspace.annotator.learning.start))
        lines.append(tr("Learning makes the networks better at this video, in a minute or two."))
    store = default_store()
    model = stronger_tracker(store, window.preferences.tracker_model)
    if model is not None:
        lines.append(needs_text(model))
        if store.locate(model) is not None:

            def use() -> None:
                window.preferences.tracker_model = model.name
                window.show_notice(tr("Tracking with {name} from now on.", name=model.name))

            offers.append((tr("Use {name}", name=model.name), use))
        else:

            def fetch() -> None:
                dialog = ModelsDialog(window.preferences, window)
                dialog.open()
                dialog.fetch(model.name)

            offers.append((tr("Get {name}", name=model.name), fetch))
    if offers:
        workspace.banner.show_offers("\n".join(lines), *offers)


# Masks


def _undo(workspace: Workspace) -> None:
    """While the mouse is held, its gesture; nothing that was done before."""
    if not (workspace.canvas.take_back_gesture() or workspace.timeline.abandon_drag()):
        workspace.annotator.undo()


def _stop(workspace: Workspace) -> None:
    """Escape: the nearest thing first."""
    if workspace.canvas.cancel_gesture() or workspace.timeline.abandon_drag():
        return
    if workspace.player.is_playing:
        workspace.player.stop()
    elif not workspace.annotator.cancel():
        _remove_last_click(workspace)


def _remove_last_click(workspace: Workspace) -> None:
    """Says which one."""
    document = workspace.document
    prompts = document.annotation.record(document.frame).prompts
    if workspace.annotator.prompts.remove_last_click() and prompts is not None:
        info = document.object(prompts.object_id)
        text = (
            Message("Click {number}, which adds to “{name}”, is removed. Undo brings it back.")
            if prompts.clicks[-1].is_positive
            else Message(
                "Click {number}, which takes away from “{name}”, is removed. Undo brings it back."
            )
        )
        name = "" if info is None else info.name
        document.noticed.emit(tr(text, number=len(prompts.clicks), name=name))


def _copy_mask(workspace: Workspace, step: int) -> None:
    """From the nearest frame in that direction that has a mask."""
    document = workspace.document
    end = -1 if step < 0 else document.frame_count
    around = range(document.frame + step, end, step)
    source = next((frame for frame in around if frame in document.annotation.records), None)
    if source is None:
        document.noticed.emit(tr("No frame in that direction has a mask."))
    else:
        workspace.annotator.hand.copy_mask(source)


def _choose_tool(workspace: Workspace, name: str) -> None:
    workspace.document.set_tool(name)


def _scale_brush(workspace: Workspace, factor: float) -> None:
    document = workspace.document
    document.set_brush_radius_px(document.brush_radius_px * factor)


def _clear_object(workspace: Workspace, *, is_from_here: bool = False) -> None:
    document = workspace.document
    first, last = document.whole_range
    if is_from_here:
        first, last = document.frame, max(last, document.frame)
    elif not document.has_range:
        document.noticed.emit(tr("There is no range: set one with I and U."))
        return
    workspace.annotator.bulk.clear_object(document.current_object, first, last)


def _remove_pieces(workspace: Workspace) -> None:
    size_px, is_given = QInputDialog.getInt(
        workspace,
        tr("Remove pieces"),
        tr("Remove pieces of up to this many pixels:"),
        SPECK_PX,
        1,
        10**9,
    )
    if is_given:
        workspace.annotator.hand.remove_specks(size_px + 1)


def _clean_range(workspace: Workspace) -> None:
    document = workspace.document
    names = {tr(text): name for name, (text, _) in SURGERY.items()}
    first, last = document.whole_range
    chosen, is_given = QInputDialog.getItem(
        workspace,
        tr("Clean up the range"),
        tr("On frames {first} to {last}:", first=first, last=last),
        list(names),
        editable=False,
    )
    if is_given:
        workspace.annotator.bulk.clean(names[chosen], document.current_object, first, last)


def _range_or_frame(document: Document) -> tuple[int, int]:
    """First and last: the range that was set, or the current frame alone."""
    return document.whole_range if document.has_range else (document.frame, document.frame)


def _set_presence(workspace: Workspace, state: PresenceState) -> None:
    document = workspace.document
    first, last = _range_or_frame(document)
    workspace.annotator.bulk.set_presence(document.current_object, first, last, state)


def _move_covered(workspace: Workspace, name: SurgeryName) -> None:
    """In the range, or on the current frame."""
    document, annotator = workspace.document, workspace.annotator
    if document.has_range:
        annotator.bulk.move_covered(name, document.current_object, *document.whole_range)
    else:
        annotator.hand.move_covered(name)


def _tell_memory(workspace: Workspace, rule: MemoryRule) -> None:
    first, last = _range_or_frame(workspace.document)
    workspace.annotator.hand.tell_memory(first, last, rule)


def _accept_absence(workspace: Workspace) -> None:
    """The first of those that the last run proposed."""
    document = workspace.document
    proposal = next(iter(workspace.annotator.tracking.absences), None)
    if proposal is None:
        document.noticed.emit(tr("No absence is proposed."))
        return
    workspace.annotator.bulk.set_presence(
        proposal.object_id, proposal.first, proposal.last, PresenceState.ABSENT
    )


# Objects


def _on_object(do: Callable[[Workspace, ObjectInfo], object]) -> Callable[[Workspace], None]:
    """`do` with the current object, if there is one."""

    def call(workspace: Workspace) -> None:
        document = workspace.document
        info = document.object(document.current_object)
        if info is not None:
            do(workspace, info)

    return call


def _rename(workspace: Workspace, info: ObjectInfo) -> None:
    name, is_given = QInputDialog.getText(
        workspace, tr("Rename"), tr("Name of the object:"), text=info.name
    )
    if is_given and name.strip():
        workspace.document.rename_object(info.id, name)


def _toggle(column: Column) -> Callable[[Workspace], None]:
    """As a click on that column of the current object's row."""
    return _on_object(lambda at, info: at.objects_panel.menus.toggle(column, info))


def _step_object(workspace: Workspace, step: int) -> None:
    document = workspace.document
    ids = [info.id for info in document.objects]
    if ids:
        current = document.current_object
        index = ids.index(current) if current in ids else 0
        document.set_current_object(ids[(index + step) % len(ids)])


def choose_object(workspace: Workspace, index: int) -> None:
    """The digit keys: the object at that place of the list."""
    objects = workspace.document.objects
    if index < len(objects):
        workspace.document.set_current_object(objects[index].id)


def _merge(workspace: Workspace) -> None:
    _ask_object(workspace, tr("Merge into"), workspace.objects_panel.menus.merge_current)


def _swap(workspace: Workspace) -> None:
    title = tr("Swap with, from this frame on")
    _ask_object(workspace, title, workspace.objects_panel.menus.swap_current)


def _ask_object(workspace: Workspace, title: str, do: Callable[[int], None]) -> None:
    """`do` with the id of another object than the current one, if both are still there then."""
    document = workspace.document
    current = document.current_object
    others = [info for info in document.objects if info.id != current]
    if not others:
        document.noticed.emit(tr("There is no other object."))
        return
    names = [f"{info.id}  {info.name}" for info in others]
    chosen, is_given = QInputDialog.getItem(workspace, title, tr("Object:"), names, editable=False)
    if not is_given:
        return
    other = others[names.index(chosen)].id
    if document.current_object == current and document.object(other) is not None:
        do(other)


# Tracking


def _confirm(workspace: Workspace) -> None:
    """Right after an object was added there is nothing of it to confirm: it gets its name."""
    document = workspace.document
    if document.new_object and document.new_object == document.current_object:
        workspace.show_panels(True)
        workspace.objects_panel.rename_current()
    else:
        workspace.annotator.hand.confirm()


# Frames


def play(workspace: Workspace) -> None:
    """Space plays; during tracking or learning it pauses that, as in the published program."""
    if workspace.annotator.operations.is_running:
        workspace.propagation_panel.run.toggle_pause()
    else:
        workspace.player.toggle()


def _go_to(workspace: Workspace, frame: int | None) -> None:
    """Also from a video that plays: a request for a frame is a wish to look at it."""
    if frame is not None:
        workspace.player.stop()
        workspace.document.set_frame(frame)


def _step(workspace: Workspace, frames: int) -> None:
    _go_to(workspace, workspace.document.frame + frames)


def _go_to_given(workspace: Workspace, *, is_next: bool) -> None:
    table, frame = FrameTable.of(workspace.document), workspace.document.frame
    _go_to(workspace, table.next_given(frame) if is_next else table.previous_given(frame))


def _go_to_cut(workspace: Workspace, way: int) -> None:
    """Looks for cuts at once, if that is still to come."""
    document, cuts = workspace.document, Cuts.of(workspace.document)
    frame = cuts.beside(document.frame, way)
    if frame is not None:
        _go_to(workspace, frame)
    elif cuts.is_done:
        document.noticed.emit(tr("There is no cut there."))
    else:
        cuts.find()
        document.noticed.emit(tr("The video is still looked through for cuts."))


def _go_to_doubtful(workspace: Workspace) -> None:
    document = workspace.document
    table = FrameTable.of(document)
    frame = table.next_to_annotate(document.frame)
    if frame is None:
        document.noticed.emit(next_frames_state(table).replace("\n", " "))
    else:
        _go_to(workspace, frame)


# The view


def _choose_mode(window: MainWindow, workspace: Workspace, mode: ViewMode) -> None:
    if mode is ViewMode.LAYER and not workspace.document.layer:
        _choose_layer(window, workspace)
        window.update_state()
    else:
        workspace.document.set_view_mode(mode)


def _next_mode(workspace: Workspace) -> None:
    document = workspace.document
    modes = [mode for mode in ViewMode if mode is not ViewMode.LAYER or document.layer]
    document.set_view_mode(modes[(modes.index(document.view_mode) + 1) % len(modes)])


def _choose_layer(window: MainWindow, workspace: Workspace) -> None:
    path, _ = QFileDialog.getOpenFileName(
        workspace,
        tr("Picture or video behind the objects"),
        window.preferences.last_folder,
        f"{tr('Pictures and videos')} ({_PICTURE_SUFFIXES} {_VIDEO_SUFFIXES})",
    )
    if path:
        window.preferences.last_folder = str(Path(path).parent)
        workspace.document.set_layer(path)
        workspace.document.set_view_mode(ViewMode.LAYER)


def _change_opacity(workspace: Workspace, change: float) -> None:
    workspace.document.set_opacity(round(workspace.document.opacity + change, 2))


def _effort(workspace: Workspace) -> None:
    from gui.dialogs.effort import EffortDialog

    EffortDialog(workspace.document, workspace).open()


def _full_screen(window: MainWindow) -> None:
    if window.isFullScreen():
        window.showNormal()
    else:
        window.showFullScreen()
    window.update_state()


# Help


def _cheat_sheet(window: MainWindow) -> None:
    from gui.dialogs.commands import CheatSheet

    CheatSheet(window.actions_table, window).open()


def _shortcuts(window: MainWindow) -> None:
    from gui.dialogs.commands import ShortcutsDialog

    ShortcutsDialog(window.actions_table, window).open()


def _find_command(window: MainWindow) -> None:
    from gui.dialogs.commands import CommandSearch

    CommandSearch(window.actions_table, window).open()


def _log(window: MainWindow) -> None:
    from gui.dialogs.about import LogDialog

    LogDialog(window).open()


def _about(window: MainWindow) -> None:
    from gui.dialogs.about import AboutDialog

    AboutDialog(window).open()


_ON_WINDOW: Final[dict[str, Callable[[MainWindow], object]]] = {
    "file.open_video": _open_video,
    "file.open_folder": _open_folder,
    "file.open_project": lambda window: _open_folder(window, tr("Open project")),
    "file.sample": lambda window: window.opener.open_sample(),
    "file.preferences": _preferences,
    "file.models": _models,
    "file.close": lambda window: window.close_session(),
    "file.quit": lambda window: window.close(),
    "view.full_screen": _full_screen,
    "help.cheat_sheet": _cheat_sheet,
    "help.shortcuts": _shortcuts,
    "help.commands": _find_command,
    "help.log": _log,
    "help.about": _about,
}

_ON_BOTH: Final[dict[str, Callable[[MainWindow, Workspace], object]]] = {
    "file.import": _import,
    "file.export": _export,
    "file.verify": _verify,
    "file.save_copy": _save_copy,
    **{view_action(mode): partial(_choose_mode, mode=mode) for mode in ViewMode},
    "view.choose_layer": _choose_layer,
}

_ON_WORKSPACE: Final[dict[str, Callable[[Workspace], object]]] = {
    "file.save_version": _save_version,
    "edit.undo": _undo,
    "edit.redo": lambda at: at.annotator.redo(),
    "edit.stop": _stop,
    "edit.copy_previous": partial(_copy_mask, step=-1),
    "edit.copy_next": partial(_copy_mask, step=1),
    "edit.clear_object": lambda at: at.annotator.hand.clear_frame(at.document.current_object),
    "edit.clear_from": partial(_clear_object, is_from_here=True),
    "edit.clear_range": _clear_object,
    "edit.remove_pieces": _remove_pieces,
    "edit.clean_range": _clean_range,
    "edit.clear_frame": lambda at: at.annotator.hand.clear_frame(),
    "edit.fill_holes": lambda at: at.annotator.hand.fill_holes(),
    "edit.remove_specks": lambda at: at.annotator.hand.remove_specks(),
    "edit.grow": lambda at: at.annotator.hand.grow(1),
    "edit.shrink": lambda at: at.annotator.hand.grow(-1),
    "edit.smooth": lambda at: at.annotator.hand.smooth(),
    **{spec.id: partial(_choose_tool, name=spec.name) for spec in ACTIONS if spec.group == "tool"},
    "tool.smaller": partial(_scale_brush, factor=1 / _BRUSH_FACTOR),
    "tool.larger": partial(_scale_brush, factor=_BRUSH_FACTOR),
    "object.add": lambda at: at.document.add_object(),
    "object.rename": _on_object(_rename),
    "object.recolor": _on_object(lambda at, info: at.objects_panel.menus.choose_color(info)),
    "object.lock": _toggle(Column.LOCKED),
    "object.hide": _toggle(Column.VISIBLE),
    "object.solo": _toggle(Column.SOLO),
    "object.next": partial(_step_object, step=1),
    "object.previous": partial(_step_object, step=-1),
    "object.find": lambda at: at.objects_panel.focus_search(),
    **{
        f"object.{state.name.lower()}": partial(_set_presence, state=state)
        for state in PresenceState
    },
    "track.accept_absence": _accept_absence,
    "object.keep_covered": _toggle(Column.COVERED),
    "object.to_front": partial(_move_covered, name="to_front"),
    "object.to_back": partial(_move_covered, name="to_back"),
    "track.pin": partial(_tell_memory, rule=MemoryRule.PINNED),
    "track.exclude": partial(_tell_memory, rule=MemoryRule.EXCLUDED),
    "track.release": partial(_tell_memory, rule=MemoryRule.FREE),
    "track.resume": lambda at: at.annotator.tracking.resume(),
    "object.split": lambda at: at.objects_panel.menus.split_current(),
    "object.merge": _merge,
    "object.swap": _swap,
    "object.delete": lambda at: at.annotator.bulk.delete_object(at.document.current_object),
    "track.forward": lambda at: at.propagation_panel.start("forward"),
    "track.backward": lambda at: at.propagation_panel.start("backward"),
    "track.both": lambda at: at.propagation_panel.start("both"),
    "track.keep_probabilities": lambda at: at.document.set_keeps_probabilities(
        not at.document.keeps_probabilities
    ),
    "track.blend": lambda at: at.document.set_blends(not at.document.blends),
    "track.follow": lambda at: at.document.set_follows_head(not at.document.follows_head),
    "track.settle": lambda at: at.propagation_panel.start_settling(),
    "track.one": lambda at: at.propagation_panel.track_one(),
    "track.closer": lambda at: at.propagation_panel.closer.toggle(),
    "track.forecast": lambda at: at.propagation_panel.ask_forecast(measures=True),
    "track.pause": lambda at: at.propagation_panel.run.toggle_pause(),
    "track.cancel": lambda at: at.annotator.cancel(),
    "track.learn": lambda at: at.annotator.learning.start(),
    "track.forget": lambda at: at.annotator.learning.forget(),
    "track.confirm": _confirm,
    "track.unconfirm": lambda at: at.annotator.hand.unconfirm(),
    "go.play": play,
    "go.reverse": lambda at: at.player.shuttle("J"),
    "go.next": partial(_step, frames=1),
    "go.previous": partial(_step, frames=-1),
    "go.next10": partial(_step, frames=10),
    "go.previous10": partial(_step, frames=-10),
    "go.first": partial(_go_to, frame=0),
    "go.last": lambda at: _go_to(at, at.document.frame_count - 1),
    "go.frame": lambda at: at.transport.focus_frame_box(),
    "go.copy_frame": lambda at: QGuiApplication.clipboard().setText(str(at.document.frame)),
    "go.next_key": partial(_go_to_given, is_next=True),
    "go.previous_key": partial(_go_to_given, is_next=False),
    "go.doubtful": _go_to_doubtful,
    "go.next_cut": lambda at: _go_to_cut(at, 1),
    "go.previous_cut": lambda at: _go_to_cut(at, -1),
    "go.set_in": lambda at: at.document.set_range(at.document.frame, at.document.range_out),
    "go.set_out": lambda at: at.document.set_range(at.document.range_in, at.document.frame),
    "go.clear_range": lambda at: at.document.set_range(None, None),
    "view.next_mode": _next_mode,
    "view.zoom_in": lambda at: at.canvas.zoom_in(),
    "view.zoom_out": lambda at: at.canvas.zoom_out(),
    "view.fit": lambda at: at.canvas.zoom_to_fit(),
    "view.actual": lambda at: at.canvas.zoom_to_actual_size(),
    "view.opacity_up": partial(_change_opacity, change=_OPACITY_STEP),
    "view.opacity_down": partial(_change_opacity, change=-_OPACITY_STEP),
    "view.onion_skin": lambda at: at.document.set_onion_skin(not at.document.has_onion_skin),
    "view.hatching": lambda at: at.document.set_hatching(not at.document.has_hatching),
    "view.covered": lambda at: at.document.set_shows_covered(not at.document.shows_covered),
    "view.magnifier": lambda at: at.canvas.set_magnifier(not at.canvas.has_magnifier),
    "view.panels": lambda at: at.show_panels(not at.are_panels_shown),
    "view.effort": _effort,
    "view.timeline": lambda at: at.show_timeline(not at.is_timeline_shown),
}
