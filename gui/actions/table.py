"""The table of actions: name, text, key, icon, handler and when each is enabled."""

from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Final

from PySide6.QtCore import QT_TRANSLATE_NOOP

__all__ = [
    "ACTIONS",
    "MENUS",
    "ActionSpec",
    "Needs",
]


class Needs(Flag):
    """What must be there for an action to make sense."""

    NOTHING = 0
    PROJECT = auto()
    OBJECT = auto()  # a current object
    MASK = auto()  # a mask on the current frame
    IDLE = auto()  # no propagation, no learning, and nothing else that changes many frames
    RUN = auto()  # a propagation or learning, going or paused
    BUSY = auto()  # anything that can be cancelled, or a click to take back
    UNDO = auto()
    REDO = auto()
    WRITABLE = auto()  # the project may be changed
    GIVEN = auto()  # a frame to learn from
    LEARNED = auto()  # something was learned


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One entry. `id` is "menu.what"; texts are English, translated where they are shown."""

    id: str
    text: str
    keys: tuple[str, ...] = ()
    icon: str | None = None
    tip: str = ""
    needs: Needs = Needs.NOTHING
    is_checkable: bool = False
    group: str = ""  # checkable actions of one group exclude each other
    begins_section: bool = field(default=False, kw_only=True)  # a line above it in the menu

    @property
    def menu(self) -> str:
        return self.id.split(".")[0]


_C: Final = "Actions"


def _T(context: str, text: str) -> str:  # as Qt's own macro of this kind
    """Marks a text for translation, which happens where it is shown."""
    return str(QT_TRANSLATE_NOOP(context, text))


_EDIT: Final = Needs.PROJECT | Needs.WRITABLE
_ON_OBJECT: Final = _EDIT | Needs.OBJECT | Needs.MASK

MENUS: Final = {
    "file": _T(_C, "&File"),
    "edit": _T(_C, "&Edit"),
    "tool": _T(_C, "&Tools"),
    "object": _T(_C, "&Object"),
    "track": _T(_C, "Trac&k"),
    "go": _T(_C, "&Go"),
    "view": _T(_C, "&View"),
    "help": _T(_C, "Hel&p"),  # Alt+H is an action's key
}


def _spec(
    name: str,
    text: str,
    keys: str = "",
    icon: str | None = None,
    tip: str = "",
    needs: Needs = Needs.NOTHING,
    *,
    check: bool = False,
    group: str = "",
    line: bool = False,
) -> ActionSpec:
    """keys: parted by blanks."""
    return ActionSpec(
        name, text, tuple(keys.split()), icon, tip, needs, check, group, begins_section=line
    )


def _tool(name: str, text: str, keys: str, icon: str, tip: str) -> ActionSpec:
    return _spec(f"tool.{name}", text, keys, icon, tip, Needs.PROJECT, check=True, group="tool")


def _view(name: str, text: str, line: bool = False) -> ActionSpec:
    return _spec(
        f"view.{name}", text, "", None, "", Needs.PROJECT, check=True, group="view", line=line
    )


ACTIONS: Final[tuple[ActionSpec, ...]] = (
    _spec("file.open_video", _T(_C, "Open video…"), "Ctrl+O", "file-video"),
    _spec("file.open_folder", _T(_C, "Open folder of pictures…"), "Ctrl+Shift+O", "images"),
    _spec("file.open_project", _T(_C, "Open project…"), "Ctrl+Alt+O", "folder-open"),
    _spec("file.sample", _T(_C, "Try the sample"), "", "sparkles"),
    _spec("file.import", _T(_C, "Import masks…"), "Ctrl+I", "download", "", _EDIT, line=True),
    _spec("file.export", _T(_C, "Export…"), "Ctrl+E", "upload", "", Needs.PROJECT),
    _spec(
        "file.save_version",
        _T(_C, "Save a named version…"),
        "Ctrl+S",
        "bookmark",
        _T(_C, "Everything is saved all the time; a named version is a place to return to"),
        _EDIT,
    ),
    _spec(
        "file.save_copy",
        _T(_C, "Save as a new project…"),
        "Ctrl+Shift+S",
        "save",
        _T(_C, "A project of its own about the same video, with the masks of this one"),
        Needs.PROJECT,
    ),
    _spec("file.preferences", _T(_C, "Preferences…"), "Ctrl+,", "settings", line=True),
    _spec("file.models", _T(_C, "Models…"), "", "cpu"),
    _spec("file.close", _T(_C, "Close project"), "Ctrl+W", "x", "", Needs.PROJECT, line=True),
    _spec("file.quit", _T(_C, "Quit"), "Ctrl+Q", "log-out"),
    _spec("edit.undo", _T(_C, "Undo"), "Ctrl+Z", "undo-2", "", Needs.UNDO),
    _spec("edit.redo", _T(_C, "Redo"), "Ctrl+Shift+Z Ctrl+Y", "redo-2", "", Needs.REDO),
    _spec(
        "edit.stop",
        _T(_C, "Cancel, or take the last click back"),
        "Esc",
        "circle-x",
        "",
        Needs.BUSY,
    ),
    _spec(
        "edit.copy_previous",
        _T(_C, "Copy mask from the previous frame"),
        "Ctrl+Alt+Left",
        "copy",
        "",
        _EDIT,
        line=True,
    ),
    _spec(
        "edit.copy_next",
        _T(_C, "Copy mask from the next frame"),
        "Ctrl+Alt+Right",
        "copy",
        "",
        _EDIT,
    ),
    _spec(
        "edit.clear_object",
        _T(_C, "Clear the object on this frame"),
        "Del",
        "eraser",
        "",
        _ON_OBJECT,
        line=True,
    ),
    _spec(
        "edit.clear_frame",
        _T(_C, "Reset this frame"),
        "Shift+Del",
        "rotate-ccw",
        _T(_C, "Takes every object off this frame"),
        _EDIT | Needs.MASK,
    ),
    _spec(
        "edit.fill_holes", _T(_C, "Fill holes"), "Alt+H", "paint-bucket", "", _ON_OBJECT, line=True
    ),
    _spec("edit.remove_specks", _T(_C, "Remove specks"), "Alt+S", "sparkles", "", _ON_OBJECT),
    _spec("edit.grow", _T(_C, "Grow by a pixel"), "Alt+=", "expand", "", _ON_OBJECT),
    _spec("edit.shrink", _T(_C, "Shrink by a pixel"), "Alt+-", "shrink", "", _ON_OBJECT),
    _spec("edit.smooth", _T(_C, "Smooth the edge"), "Alt+M", "bandage", "", _ON_OBJECT),
    _tool(
        "select",
        _T(_C, "Select and pan"),
        "V",
        "mouse-pointer-2",
        _T(_C, "Click an object to make it current; drag to move the picture"),
    ),
    _tool(
        "click",
        _T(_C, "Click"),
        "K",
        "mouse-pointer-click",
        _T(_C, "Left click adds to the object, right click takes away"),
    ),
    _tool("box", _T(_C, "Box"), "X", "square-dashed", _T(_C, "Draw a box around the object")),
    _tool(
        "scribble",
        _T(_C, "Scribble"),
        "S",
        "spline",
        _T(_C, "Draw roughly along the object; with the right button, along what is not"),
    ),
    _tool("brush", _T(_C, "Brush"), "P", "brush", _T(_C, "Paint exactly; Alt erases")),
    _tool("eraser", _T(_C, "Eraser"), "E", "eraser", _T(_C, "Take away exactly")),
    _tool("lasso", _T(_C, "Lasso"), "L", "lasso", _T(_C, "Fill what you draw around")),
    _tool(
        "fill",
        _T(_C, "Fill"),
        "G",
        "paint-bucket",
        _T(_C, "Click a hole to fill it, a speck to remove it"),
    ),
    _spec("tool.smaller", _T(_C, "Smaller brush"), "[", "minus", "", Needs.PROJECT, line=True),
    _spec("tool.larger", _T(_C, "Larger brush"), "]", "plus", "", Needs.PROJECT),
    _spec("object.add", _T(_C, "New object"), "Ctrl+N", "plus", "", _EDIT),
    _spec("object.rename", _T(_C, "Rename…"), "F2", "pen-line", "", _EDIT | Needs.OBJECT),
    _spec("object.recolor", _T(_C, "Change colour…"), "", "palette", "", _EDIT | Needs.OBJECT),
    _spec("object.lock", _T(_C, "Lock or unlock"), "Ctrl+L", "lock", "", _EDIT | Needs.OBJECT),
    _spec("object.hide", _T(_C, "Show or hide"), "Ctrl+H", "eye", "", _EDIT | Needs.OBJECT),
    _spec("object.solo", _T(_C, "Show only this one"), "Ctrl+Shift+H", "focus", "", Needs.OBJECT),
    _spec("object.next", _T(_C, "Next object"), "Ctrl+Down", None, "", Needs.PROJECT, line=True),
    _spec("object.previous", _T(_C, "Previous object"), "Ctrl+Up", None, "", Needs.PROJECT),
    _spec("object.find", _T(_C, "Find object…"), "Ctrl+F", "search", "", Needs.PROJECT),
    _spec(
        "object.split",
        _T(_C, "Split into its parts"),
        "",
        "split",
        _T(_C, "Each further part on this frame becomes an object of its own"),
        _ON_OBJECT | Needs.IDLE,
        line=True,
    ),
    _spec(
        "object.merge", _T(_C, "Merge into…"), "", "merge", "", _EDIT | Needs.OBJECT | Needs.IDLE
    ),
    _spec(
        "object.swap",
        _T(_C, "Swap with… from here on"),
        "",
        "arrow-left-right",
        "",
        _EDIT | Needs.OBJECT | Needs.IDLE,
    ),
    _spec(
        "object.delete",
        _T(_C, "Delete object"),
        "Ctrl+Del",
        "trash-2",
        _T(_C, "From every frame; Undo brings it back"),
        _EDIT | Needs.OBJECT | Needs.IDLE,
        line=True,
    ),
    _spec(
        "track.forward",
        _T(_C, "Track forward"),
        "F",
        "arrow-right",
        _T(_C, "Follow the objects, as the Track panel says: until where, and which"),
        _EDIT | Needs.IDLE,
    ),
    _spec("track.backward", _T(_C, "Track backward"), "B", "arrow-left", "", _EDIT | Needs.IDLE),
    _spec(
        "track.both",
        _T(_C, "Track both ways"),
        "Shift+F",
        "move-horizontal",
        "",
        _EDIT | Needs.IDLE,
    ),
    _spec(
        "track.settle",
        _T(_C, "Track until nothing changes"),
        "Shift+R",
        "refresh-cw",
        _T(_C, "After a correction: on until the new masks agree with the old ones"),
        _EDIT | Needs.IDLE,
    ),
    _spec(
        "track.one",
        _T(_C, "Track one frame"),
        "T",
        "step-forward",
        _T(_C, "Forward, and go there"),
        _EDIT | Needs.IDLE,
    ),
    _spec("track.pause", _T(_C, "Pause or go on"), "Ctrl+Space", "pause", "", Needs.RUN),
    _spec("track.cancel", _T(_C, "Cancel tracking or learning"), "Ctrl+.", "square", "", Needs.RUN),
    _spec(
        "track.learn",
        _T(_C, "Learn from the given frames"),
        "Shift+L",
        "wand-sparkles",
        _T(_C, "Tracker and clicks get better at this video; the next run and click use it"),
        _EDIT | Needs.IDLE | Needs.GIVEN,
        line=True,
    ),
    _spec(
        "track.forget",
        _T(_C, "Forget what was learned"),
        "",
        "rotate-ccw",
        _T(_C, "The networks answer as they came again; masks stay"),
        _EDIT | Needs.IDLE | Needs.LEARNED,
    ),
    _spec(
        "track.confirm",
        _T(_C, "Confirm this frame"),
        "Return C",
        "circle-check",
        _T(_C, "Its masks are right and whole: remembered for ever, never overwritten"),
        _EDIT,
        line=True,
    ),
    _spec("track.unconfirm", _T(_C, "Take the confirmation back"), "Shift+C", "circle", "", _EDIT),
    _spec("go.play", _T(_C, "Play or stop"), "Space", "play", "", Needs.PROJECT),
    _spec(
        "go.reverse",
        _T(_C, "Play backwards"),
        "J",
        None,
        _T(_C, "Again: faster. While it plays, K stops and L goes forward"),
        Needs.PROJECT,
    ),
    _spec("go.next", _T(_C, "Next frame"), "Right", "step-forward", "", Needs.PROJECT, line=True),
    _spec("go.previous", _T(_C, "Previous frame"), "Left", "step-back", "", Needs.PROJECT),
    _spec("go.next10", _T(_C, "Ten frames on"), "Shift+Right", None, "", Needs.PROJECT),
    _spec("go.previous10", _T(_C, "Ten frames back"), "Shift+Left", None, "", Needs.PROJECT),
    _spec("go.first", _T(_C, "First frame"), "Home Alt+Left", "skip-back", "", Needs.PROJECT),
    _spec("go.last", _T(_C, "Last frame"), "End Alt+Right", "skip-forward", "", Needs.PROJECT),
    _spec("go.frame", _T(_C, "Go to frame…"), "Ctrl+G", "crosshair", "", Needs.PROJECT),
    _spec(
        "go.next_key",
        _T(_C, "Next keyframe"),
        "Ctrl+Right",
        "diamond",
        "",
        Needs.PROJECT,
        line=True,
    ),
    _spec(
        "go.previous_key", _T(_C, "Previous keyframe"), "Ctrl+Left", "diamond", "", Needs.PROJECT
    ),
    _spec(
        "go.doubtful",
        _T(_C, "Next doubtful frame"),
        "N",
        "flag",
        _T(_C, "Where the tracker trusts its mask least"),
        Needs.PROJECT,
    ),
    _spec(
        "go.set_in",
        _T(_C, "Range begins here"),
        "I",
        "arrow-left-to-line",
        "",
        Needs.PROJECT,
        line=True,
    ),
    _spec("go.set_out", _T(_C, "Range ends here"), "U", "arrow-right-to-line", "", Needs.PROJECT),
    _spec("go.clear_range", _T(_C, "Whole video"), "Alt+I", "x", "", Needs.PROJECT),
    _view("overlay", _T(_C, "Overlay")),
    _view("outline", _T(_C, "Outline")),
    _view("mask", _T(_C, "Mask")),
    _view("fade", _T(_C, "Fade the background")),
    _view("light", _T(_C, "Light")),
    _view("popup", _T(_C, "Grey background")),
    _view("layer", _T(_C, "Layer behind the objects")),
    _view("checkerboard", _T(_C, "Cut out on a checkerboard")),
    _view("green", _T(_C, "Cut out on green")),
    _view("side_by_side", _T(_C, "Side by side with the source")),
    _spec("view.next_mode", _T(_C, "Next view"), "M", "layers", "", Needs.PROJECT),
    _spec(
        "view.choose_layer",
        _T(_C, "Choose the layer's picture or video…"),
        "",
        None,
        "",
        Needs.PROJECT,
    ),
    _spec("view.zoom_in", _T(_C, "Zoom in"), "+ =", "zoom-in", "", Needs.PROJECT, line=True),
    _spec("view.zoom_out", _T(_C, "Zoom out"), "-", "zoom-out", "", Needs.PROJECT),
    _spec("view.fit", _T(_C, "Fit in window"), "Z", "maximize", "", Needs.PROJECT),
    _spec("view.actual", _T(_C, "Actual size"), "Ctrl+1", "scan", "", Needs.PROJECT),
    _spec("view.opacity_up", _T(_C, "More opaque"), "}", None, "", Needs.PROJECT, line=True),
    _spec("view.opacity_down", _T(_C, "Less opaque"), "{", None, "", Needs.PROJECT),
    _spec(
        "view.onion_skin",
        _T(_C, "Onion skin"),
        "O",
        "ghost",
        _T(_C, "The outlines of the previous and next mask"),
        Needs.PROJECT,
        check=True,
    ),
    _spec("view.magnifier", _T(_C, "Magnifier"), "Q", "search", "", Needs.PROJECT, check=True),
    _spec(
        "view.hatching",
        _T(_C, "Hatch the objects"),
        "",
        "grid-2x2",
        _T(_C, "Tells objects apart without their colours"),
        Needs.PROJECT,
        check=True,
    ),
    _spec(
        "view.panels",
        _T(_C, "Panels"),
        "F4",
        "panel-right",
        "",
        Needs.PROJECT,
        check=True,
        line=True,
    ),
    _spec(
        "view.timeline",
        _T(_C, "Timeline"),
        "Shift+F4",
        "panel-bottom",
        "",
        Needs.PROJECT,
        check=True,
    ),
    _spec("view.full_screen", _T(_C, "Full screen"), "F11", "maximize", "", check=True),
    _spec("help.cheat_sheet", _T(_C, "Keys at a glance"), "? F1", "keyboard"),
    _spec("help.shortcuts", _T(_C, "Change keys…"), "", "settings"),
    _spec("help.commands", _T(_C, "Find a command…"), "Ctrl+Shift+P", "search"),
    _spec("help.log", _T(_C, "Log…"), "", "list", line=True),
    _spec("help.about", _T(_C, "About…"), "", "info"),
)
