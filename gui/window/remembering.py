"""Save and restore the place in a project, tools and thumbnails."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, Qt, QTimer

from gui.preferences import THUMBNAIL, Place, Preferences
from gui.window.workspace import Workspace
from gui.work.document import ViewMode
from interaction.errors import UserError
from interaction.files import write_plain

__all__ = ["Remembering", "keep_thumbnail"]

_WIDTH_PX, _HEIGHT_PX = 192, 108


def keep_thumbnail(workspace: Workspace) -> None:
    """Save what is on the canvas now, for the list of recent projects. Errors are ignored."""
    project = workspace.session.project
    if project is None or project.is_read_only or not project.is_made:
        return
    if workspace.canvas.shown_frame < 0:  # closed before its first picture: the last one stays
        return
    picture = workspace.canvas.grab().scaled(
        _WIDTH_PX,
        _HEIGHT_PX,
        Qt.AspectRatioMode.KeepAspectRatioByExpanding,
        Qt.TransformationMode.SmoothTransformation,
    )
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if picture.save(buffer, "JPEG", 85):
        with suppress(UserError):
            write_plain(project.folder / THUMBNAIL, bytes(data.data()), is_forced=False)


_QUIET_MS: Final = 1000  # scrubbing and playing are no reason to write


class Remembering(QObject):
    """Puts a workspace back to how it was left, and follows it for as long as it lives."""

    def __init__(self, workspace: Workspace, preferences: Preferences) -> None:
        super().__init__(workspace)
        self._workspace, self._preferences = workspace, preferences
        project = workspace.session.project
        self._folder = None if project is None else str(project.folder)
        self._later = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._later.timeout.connect(self.keep)
        self._restore()
        self._follow()

    def keep(self) -> None:
        """Save the place now, so that a killed program knows it."""
        document = self._workspace.document
        self._later.stop()
        if self._folder is not None:
            place = Place(document.frame, document.current_object, document.layer)
            if place != self._preferences.place(self._folder):
                self._preferences.keep_place(self._folder, place)

    def _restore(self) -> None:
        document, preferences = self._workspace.document, self._preferences
        self._follow_preferences("look/opacity")
        self._follow_preferences("look/outline_px")
        self._follow_preferences("work/at_cut")
        self._follow_preferences("work/previews")
        for name, put, changed in (
            ("has_hatching", document.set_hatching, document.hatching_changed),
            ("shows_covered", document.set_shows_covered, document.covered_changed),
            ("has_onion_skin", document.set_onion_skin, document.onion_skin_changed),
            ("follows_head", document.set_follows_head, document.follow_changed),
            ("goal", document.set_goal, document.goal_changed),
            ("blends", document.set_blends, document.blends_changed),
        ):
            put(getattr(preferences, name))
            changed.connect(partial(setattr, preferences, name))
        if preferences.tool in self._workspace.canvas.tool_names:
            document.set_tool(preferences.tool)
        radius_px = preferences.brush_radius_px
        if radius_px is not None:
            document.set_brush_radius_px(radius_px)
        until = self._workspace.propagation_panel.until
        until.setCurrentIndex(max(0, until.findData(preferences.until)))
        place = None if self._folder is None else preferences.place(self._folder)
        if place is not None:
            document.set_frame(place.frame)
            document.set_current_object(place.object_id)
            if place.layer and Path(place.layer).exists():
                document.set_layer(place.layer)
        if preferences.view_mode is not ViewMode.LAYER or document.layer:
            document.set_view_mode(preferences.view_mode)

    def _follow(self) -> None:
        document, preferences = self._workspace.document, self._preferences
        for changed, name in (
            (document.opacity_changed, "opacity"),
            (document.tool_changed, "tool"),
            (document.brush_changed, "brush_radius_px"),
            (document.view_mode_changed, "view_mode"),
        ):
            changed.connect(partial(setattr, preferences, name))
        preferences.changed.connect(self._follow_preferences)
        until = self._workspace.propagation_panel.until
        until.currentIndexChanged.connect(
            lambda index: setattr(preferences, "until", until.itemData(index))
        )
        for moved in (
            document.frame_changed,
            document.current_object_changed,
            document.layer_changed,
        ):
            moved.connect(self._keep_later)

    def _follow_preferences(self, name: str) -> None:
        """What is set there is seen at once."""
        document, preferences = self._workspace.document, self._preferences
        if name == "look/opacity":
            document.set_opacity(preferences.opacity)
        elif name in ("work/at_cut", "work/pauses_at_wrong_masks"):
            tracking = self._workspace.annotator.tracking
            tracking.at_cut = preferences.at_cut
            tracking.pauses_at_wrong_masks = preferences.pauses_at_wrong_masks
        elif name == "work/previews":
            self._workspace.annotator.previews.is_on = preferences.has_previews
        elif name.startswith("look/outline"):
            document.set_outline(preferences.outline_px, preferences.outline_opacity)

    def _keep_later(self, *_: object) -> None:
        self._later.start()
