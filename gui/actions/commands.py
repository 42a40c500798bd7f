"""What each action of the table does. Dialogs are imported when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog

from gui.actions.handlers import ActionHandlers, tr
from gui.actions.mask_commands import MaskCommands
from gui.window.opening import PROJECT_SUFFIX
from gui.work.document import ViewMode
from interaction.project.project import copy_project

if TYPE_CHECKING:
    from gui.window.main_window import MainWindow

__all__ = ["Commands"]

_OPACITY_STEP = 0.1


class Commands(ActionHandlers):
    """Handlers by the action's id. An action that needs a project is off while there is none."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.masks = MaskCommands(window)

    def handlers(self) -> dict[str, Callable[[], object]]:
        return {
            **self._file(),
            **self.masks.handlers(),
            **self._view(),
            **self._help(),
        }

    # Files

    def _file(self) -> dict[str, Callable[[], object]]:
        return {
            "file.open_video": self.open_video,
            "file.open_folder": self.open_folder,
            "file.open_project": self.open_project,
            "file.sample": self.open_sample,
            "file.import": self._import,
            "file.export": self._export,
            "file.save_version": self._save_version,
            "file.save_copy": self._save_copy,
            "file.preferences": self._preferences,
            "file.models": self._models,
            "file.close": self._window.close_session,
            "file.quit": self._window.close,
        }

    def open_video(self) -> None:
        window = self._window
        path, _ = QFileDialog.getOpenFileName(
            window,
            tr("Open video"),
            window.preferences.last_folder,
            tr("Videos")
            + " (*.mp4 *.mov *.mkv *.avi *.webm *.m4v *.mpg *.mpeg *.mts *.m2ts *.wmv *.flv *.gif"
            + " *.mxf *.ogv);;"
            + tr("All files")
            + " (*)",
        )
        if path:
            window.open_path(path)

    def open_folder(self) -> None:
        self._open_folder(tr("Open folder of pictures"))

    def open_project(self) -> None:
        self._open_folder(tr("Open project"))

    def _open_folder(self, title: str) -> None:
        window = self._window
        path = QFileDialog.getExistingDirectory(window, title, window.preferences.last_folder)
        if path:
            window.open_path(path)

    def open_sample(self) -> None:
        if self._window.close_session():
            self._window.opener.open_sample()

    def _import(self) -> None:
        from gui.dialogs.import_masks import ImportDialog

        ImportDialog(self._document, self._annotator, self._window.preferences, self._window).open()

    def _export(self) -> None:
        from gui.dialogs.export import ExportDialog

        ExportDialog(self._document, self._annotator, self._window.preferences, self._window).open()

    def _save_version(self) -> None:
        from gui.dialogs.versions import VersionsDialog

        VersionsDialog(self._document, self._annotator, self._window).open()

    def _save_copy(self) -> None:
        """Goes on in the copy; also the way on from a project that can only be read."""
        window, session = self._window, self._workspace.session
        project = session.project
        if project is None:
            return
        suggested = project.folder.with_name(f"{project.folder.stem} copy{PROJECT_SUFFIX}")
        path, _ = QFileDialog.getSaveFileName(window, tr("Save as a new project"), str(suggested))
        if not path:
            return
        folder, annotation = Path(path), session.annotation

        def steps() -> Generator[None, None, None]:
            copy_project(project, annotation, folder)
            yield

        def end(error: Exception | None) -> None:
            if error is None:
                window.open_path(folder)

        if not self._annotator.do_file_work(steps, lambda _: None, end):
            self._annotator.noticed.emit(tr("Something is being written. Wait until it is done."))

    def _preferences(self) -> None:
        from gui.dialogs.preferences import PreferencesDialog

        PreferencesDialog(self._window.preferences, self._window).open()

    def _models(self) -> None:
        from gui.dialogs.models import ModelsDialog

        ModelsDialog(self._window.preferences, self._window).open()

    # The view

    def _view(self) -> dict[str, Callable[[], object]]:
        handlers: dict[str, Callable[[], object]] = {
            f"view.{mode.value.replace(' ', '_')}": partial(self._choose_mode, mode)
            for mode in ViewMode
        }
        return handlers | {
            "view.next_mode": self._next_mode,
            "view.choose_layer": self._choose_layer,
            "view.zoom_in": lambda: self._workspace.canvas.zoom_in(),
            "view.zoom_out": lambda: self._workspace.canvas.zoom_out(),
            "view.fit": lambda: self._workspace.canvas.zoom_to_fit(),
            "view.actual": lambda: self._workspace.canvas.zoom_to_actual_size(),
            "view.opacity_up": lambda: self._change_opacity(_OPACITY_STEP),
            "view.opacity_down": lambda: self._change_opacity(-_OPACITY_STEP),
            "view.onion_skin": lambda: self._document.set_onion_skin(
                not self._document.has_onion_skin
            ),
            "view.magnifier": self._magnify,
            "view.hatching": self._hatch,
            "view.panels": lambda: self._workspace.show_panels(
                not self._workspace.panels.isVisibleTo(self._workspace.upper_half)
            ),
            "view.timeline": lambda: self._workspace.show_timeline(
                not self._workspace.timeline.isVisibleTo(self._workspace.lower_half)
            ),
            "view.full_screen": self._full_screen,
        }

    def _choose_mode(self, mode: ViewMode) -> None:
        if mode is ViewMode.LAYER and not self._document.layer:
            self._choose_layer()
            self._window.update_state()
            return
        self._document.set_view_mode(mode)

    def _next_mode(self) -> None:
        modes = [m for m in ViewMode if m is not ViewMode.LAYER or self._document.layer]
        self._document.set_view_mode(
            modes[(modes.index(self._document.view_mode) + 1) % len(modes)]
        )

    def _choose_layer(self) -> None:
        window = self._window
        path, _ = QFileDialog.getOpenFileName(
            window,
            tr("Picture or video behind the objects"),
            window.preferences.last_folder,
            tr("Pictures and videos")
            + " (*.png *.jpg *.jpeg *.webp *.bmp *.tif *.tiff"
            + " *.mp4 *.mov *.mkv *.avi *.webm *.m4v)",
        )
        if path:
            window.preferences.last_folder = str(Path(path).parent)
            self._document.set_layer(path)
            self._document.set_view_mode(ViewMode.LAYER)

    def _change_opacity(self, change: float) -> None:
        self._document.set_opacity(round(self._document.opacity + change, 2))

    def _magnify(self) -> None:
        canvas = self._workspace.canvas
        canvas.set_magnifier(not canvas.has_magnifier)
        self._window.update_state()

    def _hatch(self) -> None:
        is_on = not self._document.has_hatching
        self._document.set_hatching(is_on)
        self._window.preferences.has_hatching = is_on

    def _full_screen(self) -> None:
        window = self._window
        if window.isFullScreen():
            window.showNormal()
        else:
            window.showFullScreen()
        window.update_state()

    # Help

    def _help(self) -> dict[str, Callable[[], object]]:
        return {
            "help.cheat_sheet": self._cheat_sheet,
            "help.shortcuts": self._shortcuts,
            "help.commands": self._find_command,
            "help.log": self._log,
            "help.about": self._about,
        }

    def _cheat_sheet(self) -> None:
        from gui.dialogs.shortcuts import CheatSheet

        CheatSheet(self._window.actions_table, self._window).open()

    def _shortcuts(self) -> None:
        from gui.dialogs.shortcuts import ShortcutsDialog

        ShortcutsDialog(self._window.actions_table, self._window).open()

    def _find_command(self) -> None:
        from gui.dialogs.command_search import CommandSearch

        CommandSearch(self._window.actions_table, self._window).open()

    def _log(self) -> None:
        from gui.dialogs.about import LogDialog

        LogDialog(self._window).open()

    def _about(self) -> None:
        from gui.dialogs.about import AboutDialog

        AboutDialog(self._window).open()
