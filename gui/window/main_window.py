"""The window: menus, tool bar, status line, and in the middle what there is to do."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QMainWindow, QMenu, QStackedWidget, QWidget

from gui.actions.actions import Actions, ShuttleKeys, TypingGuard
from gui.actions.table import view_action
from gui.errors import ReportDialog, summary_and_advice
from gui.language import tr
from gui.preferences import Preferences, RecentProject
from gui.theme import menu_text
from gui.welcome import OpeningPage, WelcomePage
from gui.window.bars import StatusLine, ToolBar
from gui.window.handlers import choose_object, handlers, offer_help, play, state_of
from gui.window.opening import (
    Opener,
    await_answers,
    is_openable_project,
    may_discard,
    may_stop,
    remedy_for,
)
from gui.window.remembering import Remembering, keep_thumbnail
from gui.window.workspace import Workspace
from gui.work.operations import Busy
from interaction.errors import UserError
from interaction.session import Session
from resources import sample_folder

__all__ = ["MainWindow"]


_PATIENCE_S: Final = 0.6  # of the end of the program, for each thread
_COUNT_MS: Final = 2000  # how often a run's masks are counted for the list of recent projects
# Actions of the menus under the pointer; a line between two sections.
_TIMELINE_MENU: Final = (
    "go.set_in go.set_out go.clear_range",
    "track.confirm track.unconfirm",
    "edit.clear_object edit.clear_from edit.clear_range",
    "object.present object.occluded object.absent object.not_looked_at",
    "go.doubtful go.copy_frame",
)
_CANVAS_MENU: Final = (
    "object.rename object.recolor object.lock object.hide object.solo",
    "edit.clear_object edit.clear_from edit.clear_range edit.fill_holes edit.remove_specks "
    "edit.remove_pieces",
    "object.keep_covered object.to_front object.to_back",
    "object.split object.merge object.delete",
    "track.confirm view.fit",
)


class MainWindow(QMainWindow):
    """Puts the parts together. What is open is the workspace's business."""

    session_opened = Signal(object)  # Session
    session_closed = Signal()
    _could_not_save = Signal(object)  # the UserError, from the saving thread
    _saved_again = Signal()  # from there too

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preferences = preferences
        self.workspace: Workspace | None = None
        self._is_asking = False  # whether it may be closed
        self._remembering: Remembering | None = None
        self.opener: Opener = Opener(preferences, self)
        self.setObjectName("main window")
        self.setMinimumSize(800, 560)
        self.setAcceptDrops(True)
        self.actions_table = Actions(handlers(self), preferences, self)
        self.menus = self.actions_table.fill_menu_bar(self.menuBar())
        self._add_recent_menu()
        self.tool_bar = ToolBar(self.actions_table, self)
        self.addToolBar(self.tool_bar)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.status_line = StatusLine(self)
        self.setStatusBar(self.status_line)

        self._typing_guard = TypingGuard(self)
        for digit in range(1, 10):
            key = QShortcut(QKeySequence(str(digit)), self)
            key.activated.connect(partial(self._choose_object, digit - 1))

        self.welcome = WelcomePage(preferences, self.actions_table, self)
        self.opening = OpeningPage(self)
        self.pages = QStackedWidget(self)
        self.pages.addWidget(self.welcome)
        self.pages.addWidget(self.opening)
        self.setCentralWidget(self.pages)
        self.welcome.path_wanted.connect(self.open_path)
        self.opening.cancelled.connect(self.opener.cancel)

        self.opener.started.connect(self._show_opening)
        self.opener.previewed.connect(self.opening.show_picture)
        self.opener.progressed.connect(self.opening.show_count)
        self.opener.opened.connect(self.show_session)
        self.opener.failed.connect(self._show_opening_failure)
        self.opener.cancelled.connect(self._show_page)
        self.opener.is_open.connect(self._show_already_open)
        self._could_not_save.connect(partial(self.show_failure, lasts=True))
        self._saved_again.connect(self._show_saved)
        preferences.changed.connect(self._follow_preferences)
        self._updating = QTimer(self, singleShot=True, interval=0)
        self._updating.timeout.connect(self.update_state)
        self._counting = QTimer(self, singleShot=True, interval=_COUNT_MS)
        self._counting.timeout.connect(self._remember_open_project)
        self._restore_window()
        self.update_state()

    # Opening and closing

    def open_path(self, path: Path | str, project: Path | None = None) -> None:
        """A video, a folder of pictures, or a project; what is open stays until that is ready.
        project: where the work on a video is kept, if not beside it."""
        path = Path(path)
        if path.parent != sample_folder():  # no place for files of one's own
            self.preferences.last_folder = str(path.parent)
        if is_openable_project(path):
            self.opener.open_project(path)
        else:
            self.opener.open_source(path, project)

    def show_session(self, session: Session) -> None:
        """In place of what is open; if the annotator wants to go on with that, `session` closes."""
        if not self.close_session():
            session.close()
            self._show_page()
            return
        session.video.limit_cache(self._cache_bytes(session))
        if self.opener.given is not None and self.opener.given.memory:
            session.engines.limits = {}  # what was typed comes before what the project says
        workspace = Workspace(session, self)
        self.workspace = workspace
        self.pages.addWidget(workspace)
        self._connect(workspace)
        self._remembering = Remembering(workspace, self.preferences)
        self.tool_bar.follow(workspace.document)
        self._show_page()
        workspace.canvas.setFocus()
        workspace.annotator.warm_up()
        self.tool_bar.show_model(self.opener.settings())
        self._remember_project(session)
        self.session_opened.emit(session)
        if session.project is not None:
            self.opener.in_use = session.project.folder
            session.project.on_made = partial(self._remember_project, session)
            # From the saving thread; the signals bring it here.
            session.project.on_problem = self._could_not_save.emit
            session.project.on_recovery = self._saved_again.emit
        project = session.project
        if project is not None and project.damages:
            workspace.show_error(
                tr("This project is damaged and open for reading only. Nothing was changed."),
                "\n".join(map(tr, project.damages)),
                lasts=True,
            )
        elif project is not None and project.notices:
            first, *others = map(tr, project.notices)
            workspace.banner.show_error(first, "\n".join(others))
        elif session.video.notice is not None:
            workspace.banner.show_notice(tr(session.video.notice))

    def _cache_bytes(self, session: Session) -> int:
        """For decoded frames: what the preferences say, or so many frames as were asked for."""
        given = self.opener.given
        if given is None or given.cached_frames is None:
            return self.preferences.cache_bytes
        return given.cached_frames * session.video.width * session.video.height * 3

    def close_session(self, patience_s: float | None = None) -> bool:
        """False if the annotator wants to go on working, or is being asked already. patience_s: see
        `Workspace.shutdown`."""
        self.opener.cancel()
        workspace = self.workspace
        if workspace is None:
            return True
        if self._is_asking:
            return False
        self._is_asking = True
        try:
            if not await_answers(workspace.annotator, self):
                return False
            annotator = workspace.annotator
            is_working = annotator.operations.busy not in (Busy.IDLE, Busy.CLICKING)
            if is_working and not may_stop(annotator, self):
                return False
            discards = False
            try:
                workspace.session.flush()
            except UserError as problem:
                if not may_discard(problem, self):
                    return False
                discards = True
        finally:
            self._is_asking = False
        self._remember_project(workspace.session)
        if self._remembering is not None:
            self._remembering.keep()
        self._remembering = None
        keep_thumbnail(workspace)
        self._keep_window()
        self.workspace = self.opener.in_use = None
        workspace.shutdown(discards=discards, patience_s=patience_s)
        self.pages.removeWidget(workspace)
        workspace.deleteLater()
        self.tool_bar.follow(None)
        self.welcome.refresh()
        self._show_page()
        self.session_closed.emit()
        return True

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.close_session(_PATIENCE_S):
            event.ignore()
            return
        self._keep_window()
        self.opener.shutdown(_PATIENCE_S)
        event.accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_path(Path(paths[0]))

    # What is shown

    def update_state(self) -> None:
        """Enables what makes sense now and says what to do next."""
        workspace = self.workspace
        # Nothing happens to a project that is out of sight while another is being opened.
        shown = None if self.pages.currentWidget() is self.opening else workspace
        self.actions_table.enable(state_of(shown))
        self.tool_bar.setVisible(workspace is not None)
        self.status_line.show_state(shown)
        if workspace is None:
            self.setWindowTitle("xmem-annotate")
            return
        self.setWindowTitle(f"{workspace.document.video.path.name} — xmem-annotate")
        document = workspace.document
        actions = self.actions_table
        actions[f"tool.{document.tool}"].setChecked(True)
        actions[view_action(document.view_mode)].setChecked(True)
        actions["track.follow"].setChecked(document.follows_head)
        actions["track.blend"].setChecked(document.blends)
        actions["track.keep_probabilities"].setChecked(document.keeps_probabilities)
        actions["view.onion_skin"].setChecked(document.has_onion_skin)
        actions["view.hatching"].setChecked(document.has_hatching)
        actions["view.covered"].setChecked(document.shows_covered)
        current = document.object(document.current_object)
        actions["object.keep_covered"].setChecked(current is not None and current.keeps_covered)
        actions["view.magnifier"].setChecked(workspace.canvas.has_magnifier)
        actions["view.panels"].setChecked(workspace.are_panels_shown)
        actions["view.timeline"].setChecked(workspace.is_timeline_shown)
        actions["view.full_screen"].setChecked(self.isFullScreen())
        history = workspace.session.history
        undo, redo = actions["edit.undo"], actions["edit.redo"]
        entries, position = history.entries, history.position
        undo.setText(
            menu_text(tr("Undo {label}", label=entries[position - 1].label))
            if history.can_undo
            else tr("Undo")
        )
        redo.setText(
            menu_text(tr("Redo {label}", label=entries[position].label))
            if history.can_redo
            else tr("Redo")
        )
        self.tool_bar.show_mode(document.view_mode)

    def show_failure(
        self, error: Exception, *, lasts: bool = False, project: Path | None = None
    ) -> None:
        """A banner for what the annotator can mend, with a button where one helps; a report for a
        bug. lasts: it is not over when something else has worked. project: the folder of the
        project that does not open."""
        if not isinstance(error, UserError):
            ReportDialog(error, self).open()
            return
        summary, advice = summary_and_advice(error)
        remedy = remedy_for(self, error, project)
        offers = () if remedy is None else (remedy,)
        page = self.welcome.banner if self.workspace is None else self.workspace
        page.show_error(summary, advice, *offers, lasts=lasts)

    def show_notice(self, text: str) -> None:
        if self.workspace is not None:
            self.workspace.banner.show_notice(text)

    def _show_saved(self) -> None:
        if self.workspace is not None:
            self.workspace.banner.end_lasting(tr("Everything is saved again."))

    def _show_opening(self, name: str) -> None:
        self.opening.start(name)
        self.pages.setCurrentWidget(self.opening)
        self.update_state()

    def _show_opening_failure(self, error: Exception) -> None:
        self._show_page()
        self.show_failure(error, project=self.opener.project)

    def _show_already_open(self) -> None:
        self._show_page()
        self.show_notice(tr("That is open already."))

    def _show_page(self) -> None:
        self.pages.setCurrentWidget(self.workspace or self.welcome)
        self.update_state()

    # Parts

    def _connect(self, workspace: Workspace) -> None:
        document, annotator = workspace.document, workspace.annotator
        for signal in (
            document.frame_changed,
            document.current_object_changed,
            document.tool_changed,
            document.view_mode_changed,
            document.onion_skin_changed,
            document.follow_changed,
            document.blends_changed,
            document.keeping_changed,
            document.hatching_changed,
            document.covered_changed,
            document.masks_changed,
            document.objects_changed,
            document.history_changed,
            annotator.operations.busy_changed,
            annotator.learning.changed,
            workspace.panels_toggled,
            workspace.timeline_toggled,
        ):
            signal.connect(self._update_soon)
        document.masks_changed.connect(self._count_soon)
        document.brush_changed.connect(lambda _: self.status_line.show_brush(workspace))
        annotator.tracking.accepted.connect(self.actions_table["track.accept_absence"].trigger)
        workspace.history_panel.effort_wanted.connect(self.actions_table["view.effort"].trigger)
        document.failed.connect(self.show_failure)
        document.noticed.connect(self.show_notice)
        document.offered.connect(
            lambda text, button, do: workspace.banner.show_notice(text, (button, do))
        )
        annotator.struggle.noticed.connect(partial(offer_help, self, workspace))
        annotator.operations.changed.connect(self._update_soon)
        canvas = workspace.canvas
        canvas.cursor_moved.connect(partial(self.status_line.show_cursor, document))
        canvas.zoom_changed.connect(self.status_line.show_zoom)
        canvas.menu_requested.connect(partial(self._open_menu, _CANVAS_MENU))
        workspace.timeline.menu_requested.connect(partial(self._open_menu, _TIMELINE_MENU))
        canvas.space_tapped.connect(partial(play, workspace))
        ShuttleKeys(workspace.player, self.actions_table, workspace)
        annotator.tracking.offer_resumption()
        canvas.frame_failed.connect(lambda _, error: self.show_failure(error))
        canvas.hint_changed.connect(self._update_soon)
        canvas.magnifier_changed.connect(self._update_soon)
        workspace.restore_sizes(
            self.preferences.window_state("splitter upper"),
            self.preferences.window_state("splitter whole"),
        )

    def _follow_preferences(self, name: str) -> None:
        if not name.startswith("engine/"):
            return
        self.tool_bar.show_model(self.opener.settings())
        if self.workspace is not None:
            self.workspace.annotator.configure_engines(self.opener.settings())

    def _update_soon(self, *_: object) -> None:
        """Once for all that changes in one turn of the event loop."""
        self._updating.start()

    def _count_soon(self, *_: object) -> None:
        """Also while a run changes masks all the time: a killed program has no later moment."""
        if not self._counting.isActive():
            self._counting.start()

    def _remember_open_project(self) -> None:
        if self.workspace is not None:
            self._remember_project(self.workspace.session)

    def _open_menu(self, sections: Sequence[str], at: QPoint) -> None:
        self.update_state()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        for section in sections:
            menu.addSeparator()  # the first is not seen
            for name in section.split():
                menu.addAction(self.actions_table[name])
        menu.popup(at)

    def _add_recent_menu(self) -> None:
        menu = QMenu(tr("Open recent"), self)
        menu.aboutToShow.connect(lambda: self._fill_recent_menu(menu))
        # Where the menu above opens: one that is disabled is never asked to show itself.
        self.menus["file"].aboutToShow.connect(
            lambda: menu.setEnabled(bool(self.preferences.recent()))
        )
        self.menus["file"].insertMenu(self.actions_table["file.sample"], menu)

    def _fill_recent_menu(self, menu: QMenu) -> None:
        menu.clear()
        for project in self.preferences.recent()[:12]:
            action = menu.addAction(menu_text(project.name))
            action.setToolTip(project.folder)
            action.triggered.connect(lambda _=False, folder=project.folder: self.open_path(folder))

    def _choose_object(self, index: int) -> None:
        if self.workspace is not None:
            choose_object(self.workspace, index)

    def _remember_project(self, session: Session) -> None:
        if session.project is None or not session.project.is_made:
            return
        self.preferences.add_recent(
            RecentProject(
                str(session.project.folder),
                session.video.path.name,
                time.time(),
                len(session.annotation.records),
                session.annotation.frame_count,
            )
        )

    def _restore_window(self) -> None:
        geometry = self.preferences.window_state("geometry")
        if geometry is None or not self.restoreGeometry(geometry):
            self.resize(1280, 800)

    def _keep_window(self) -> None:
        self.preferences.set_window_state("geometry", self.saveGeometry())
        workspace = self.workspace
        if workspace is not None:
            keep = self.preferences.set_window_state
            if workspace.is_width_chosen:
                keep("splitter upper", workspace.upper_half.saveState())
            if workspace.is_height_chosen:
                keep("splitter whole", workspace.splitter.saveState())
