"""The table of actions: name, text, key, icon, handler and when each is enabled."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """One entry. `id` is "menu.what"; texts are English, translated where they are shown."""

    id: str
    text: str
    keys: tuple[str, ...] = ()
    icon: str | None = None
    tip: str = ""
    words: str = ""  # by which it is found, beside those of its text
    needs: Needs = Needs.NOTHING
    is_checkable: bool = False
    group: str = ""  # checkable actions of one group exclude each other
    begins_section: bool = False  # a line above it in the menu

    @property
    def menu(self) -> str:
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        """The id without the menu; of a tool, its `CanvasTool.name`."""
        return self.id.split(".")[1]


def _T(text: str) -> str:  # as Qt's own macro of this kind
    """Marks a text for translation, which happens where it is shown."""
    return str(QT_TRANSLATE_NOOP("Actions", text))


_EDIT: Final = Needs.PROJECT | Needs.WRITABLE
_ON_OBJECT: Final = _EDIT | Needs.OBJECT | Needs.MASK

MENUS: Final = {
    "file": _T("&File"),
    "edit": _T("&Edit"),
    "tool": _T("&Tools"),
    "object": _T("&Object"),
    "track": _T("Trac&k"),
    "go": _T("&Go"),
    "view": _T("&View"),
    "help": _T("&Help"),
}

ACTIONS: Final[tuple[ActionSpec, ...]] = (
    ActionSpec(id="file.open_video", text=_T("Open video…"), keys=("Ctrl+O",), icon="file-video"),
    ActionSpec(
        id="file.open_folder",
        text=_T("Open folder of pictures…"),
        keys=("Ctrl+Shift+O",),
        icon="images",
    ),
    ActionSpec(
        id="file.open_project", text=_T("Open project…"), keys=("Ctrl+Alt+O",), icon="folder-open"
    ),
    ActionSpec(id="file.sample", text=_T("Try the sample"), icon="sparkles"),
    ActionSpec(
        id="file.import",
        text=_T("Import masks…"),
        words=_T("load read annotations"),
        keys=("Ctrl+I",),
        icon="download",
        needs=_EDIT,
        begins_section=True,
    ),
    ActionSpec(
        id="file.export",
        text=_T("Export…"),
        words=_T("save write render video"),
        keys=("Ctrl+E",),
        icon="upload",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="file.save_version",
        text=_T("Save a named version…"),
        words=_T("snapshot backup"),
        keys=("Ctrl+S",),
        icon="bookmark",
        tip=_T("Everything is saved all the time; a named version is a place to return to"),
        needs=_EDIT,
    ),
    ActionSpec(
        id="file.save_copy",
        text=_T("Save as a new project…"),
        keys=("Ctrl+Shift+S",),
        icon="save",
        tip=_T("A project of its own about the same video, with the masks of this one"),
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="file.preferences",
        text=_T("Preferences…"),
        words=_T("settings options theme dark light appearance device"),
        keys=("Ctrl+,",),
        icon="settings",
        begins_section=True,
    ),
    ActionSpec(
        id="file.models",
        text=_T("Models…"),
        words=_T("weights network download checkpoint"),
        icon="cpu",
    ),
    ActionSpec(
        id="file.close",
        text=_T("Close project"),
        keys=("Ctrl+W",),
        icon="x",
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(id="file.quit", text=_T("Quit"), words=_T("exit"), keys=("Ctrl+Q",), icon="log-out"),
    ActionSpec(id="edit.undo", text=_T("Undo"), keys=("Ctrl+Z",), icon="undo-2", needs=Needs.UNDO),
    ActionSpec(
        id="edit.redo",
        text=_T("Redo"),
        keys=("Ctrl+Shift+Z", "Ctrl+Y"),
        icon="redo-2",
        needs=Needs.REDO,
    ),
    ActionSpec(
        id="edit.stop",
        text=_T("Cancel, or take the last click back"),
        words=_T("abort escape"),
        keys=("Esc",),
        icon="circle-x",
        needs=Needs.BUSY,
    ),
    ActionSpec(
        id="edit.copy_previous",
        text=_T("Copy mask from the previous frame"),
        keys=("Ctrl+Alt+Left",),
        icon="copy",
        needs=_EDIT,
        begins_section=True,
    ),
    ActionSpec(
        id="edit.copy_next",
        text=_T("Copy mask from the next frame"),
        keys=("Ctrl+Alt+Right",),
        icon="copy",
        needs=_EDIT,
    ),
    ActionSpec(
        id="edit.clear_object",
        text=_T("Clear the object on this frame"),
        words=_T("delete erase remove"),
        keys=("Del",),
        icon="eraser",
        needs=_ON_OBJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="edit.clear_from",
        text=_T("Clear the object from here on"),
        words=_T("delete erase remove rest"),
        icon="eraser",
        tip=_T("Off this frame and all after it, to the range's end if there is one"),
        needs=_EDIT | Needs.OBJECT | Needs.IDLE,
    ),
    ActionSpec(
        id="edit.clear_range",
        text=_T("Clear the object in the range"),
        words=_T("delete erase remove frames"),
        icon="eraser",
        tip=_T("Off every frame of the range, which I and U set"),
        needs=_EDIT | Needs.OBJECT | Needs.IDLE,
    ),
    ActionSpec(
        id="edit.clear_frame",
        text=_T("Reset this frame"),
        words=_T("delete erase remove all"),
        keys=("Shift+Del",),
        icon="rotate-ccw",
        tip=_T("Takes every object off this frame"),
        needs=_EDIT | Needs.MASK,
    ),
    ActionSpec(
        id="edit.fill_holes",
        text=_T("Fill holes"),
        words=_T("gaps close clean"),
        keys=("Alt+L",),
        icon="paint-bucket",
        needs=_ON_OBJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="edit.remove_specks",
        text=_T("Remove specks"),
        words=_T("noise clean despeckle islands"),
        keys=("Alt+S",),
        icon="sparkles",
        needs=_ON_OBJECT,
    ),
    ActionSpec(
        id="edit.remove_pieces",
        text=_T("Remove pieces up to a size…"),
        icon="sparkles",
        tip=_T("As Remove specks, with a size to choose"),
        needs=_ON_OBJECT,
    ),
    ActionSpec(
        id="edit.clean_range",
        text=_T("Clean up the range…"),
        words=_T("surgery many frames"),
        icon="sparkles",
        tip=_T("Fill holes, remove specks, grow, shrink or smooth on every frame of the range"),
        needs=_EDIT | Needs.OBJECT | Needs.IDLE,
    ),
    ActionSpec(
        id="edit.grow",
        text=_T("Grow by a pixel"),
        words=_T("dilate expand bigger"),
        keys=("Alt+=",),
        icon="expand",
        needs=_ON_OBJECT,
    ),
    ActionSpec(
        id="edit.shrink",
        text=_T("Shrink by a pixel"),
        words=_T("erode contract smaller"),
        keys=("Alt+-",),
        icon="shrink",
        needs=_ON_OBJECT,
    ),
    ActionSpec(
        id="edit.smooth",
        text=_T("Smooth the edge"),
        words=_T("soften contour"),
        keys=("Alt+M",),
        icon="bandage",
        needs=_ON_OBJECT,
    ),
    ActionSpec(
        id="tool.select",
        text=_T("Select and pan"),
        words=_T("hand move pick"),
        keys=("V",),
        icon="mouse-pointer-2",
        tip=_T("Click an object to make it current; drag to move the picture"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.click",
        text=_T("Click"),
        words=_T("point positive negative"),
        keys=("K",),
        icon="mouse-pointer-click",
        tip=_T("Left click adds to the object, right click takes away"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.box",
        text=_T("Box"),
        words=_T("rectangle bounding"),
        keys=("X",),
        icon="square-dashed",
        tip=_T("Draw a box around the object"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.scribble",
        text=_T("Scribble"),
        words=_T("draw rough"),
        keys=("S",),
        icon="spline",
        tip=_T("Draw roughly along the object; with the right button, along what is not"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.brush",
        text=_T("Brush"),
        words=_T("paint pen draw"),
        keys=("P",),
        icon="brush",
        tip=_T("Paint exactly; Alt erases"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.eraser",
        text=_T("Eraser"),
        words=_T("rubber"),
        keys=("E",),
        icon="eraser",
        tip=_T("Take away exactly"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.lasso",
        text=_T("Lasso"),
        words=_T("polygon outline"),
        keys=("L",),
        icon="lasso",
        tip=_T("Fill what you draw around"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.fill",
        text=_T("Fill"),
        words=_T("bucket"),
        keys=("G",),
        icon="paint-bucket",
        tip=_T("Click a hole to fill it, a speck to remove it"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="tool",
    ),
    ActionSpec(
        id="tool.smaller",
        text=_T("Smaller brush"),
        words=_T("size radius thinner width"),
        keys=("[",),
        icon="minus",
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="tool.larger",
        text=_T("Larger brush"),
        words=_T("size radius bigger thicker width"),
        keys=("]",),
        icon="plus",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="object.add",
        text=_T("New object"),
        words=_T("create layer instance"),
        keys=("Ctrl+N",),
        icon="plus",
        needs=_EDIT,
    ),
    ActionSpec(
        id="object.rename",
        text=_T("Rename…"),
        keys=("F2",),
        icon="pen-line",
        needs=_EDIT | Needs.OBJECT,
    ),
    ActionSpec(
        id="object.recolor",
        text=_T("Change colour…"),
        words=_T("color palette"),
        icon="palette",
        needs=_EDIT | Needs.OBJECT,
    ),
    ActionSpec(
        id="object.lock",
        text=_T("Lock or unlock"),
        keys=("Ctrl+L",),
        icon="lock",
        needs=_EDIT | Needs.OBJECT,
    ),
    ActionSpec(
        id="object.hide",
        text=_T("Show or hide"),
        words=_T("visibility"),
        keys=("Ctrl+H",),
        icon="eye",
        needs=_EDIT | Needs.OBJECT,
    ),
    ActionSpec(
        id="object.solo",
        text=_T("Show only this one"),
        words=_T("isolate"),
        keys=("Ctrl+Shift+H",),
        icon="focus",
        needs=Needs.OBJECT,
    ),
    ActionSpec(
        id="object.next",
        text=_T("Next object"),
        keys=("Ctrl+Down",),
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="object.previous", text=_T("Previous object"), keys=("Ctrl+Up",), needs=Needs.PROJECT
    ),
    ActionSpec(
        id="object.find",
        text=_T("Find object…"),
        keys=("Ctrl+F",),
        icon="search",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="object.split",
        text=_T("Split into its parts"),
        icon="split",
        tip=_T("Each further part on this frame becomes an object of its own"),
        needs=_ON_OBJECT | Needs.IDLE,
        begins_section=True,
    ),
    ActionSpec(
        id="object.merge",
        text=_T("Merge into…"),
        icon="merge",
        needs=_EDIT | Needs.OBJECT | Needs.IDLE,
    ),
    ActionSpec(
        id="object.swap",
        text=_T("Swap with… from here on"),
        icon="arrow-left-right",
        needs=_EDIT | Needs.OBJECT | Needs.IDLE,
    ),
    ActionSpec(
        id="object.delete",
        text=_T("Delete object"),
        words=_T("remove"),
        keys=("Ctrl+Del",),
        icon="trash-2",
        tip=_T("From every frame; Undo brings it back"),
        needs=_EDIT | Needs.OBJECT | Needs.IDLE,
        begins_section=True,
    ),
    ActionSpec(
        id="track.forward",
        text=_T("Track forward"),
        words=_T("propagate run follow"),
        keys=("F",),
        icon="arrow-right",
        tip=_T("Follow the objects, as the Track panel says: until where, and which"),
        needs=_EDIT | Needs.IDLE,
    ),
    ActionSpec(
        id="track.backward",
        text=_T("Track backward"),
        words=_T("propagate run follow"),
        keys=("B",),
        icon="arrow-left",
        needs=_EDIT | Needs.IDLE,
    ),
    ActionSpec(
        id="track.both",
        text=_T("Track both ways"),
        words=_T("propagate run follow"),
        keys=("Shift+B",),
        icon="move-horizontal",
        needs=_EDIT | Needs.IDLE,
    ),
    ActionSpec(
        id="track.follow",
        text=_T("Follow the head"),
        words=_T("watch playhead"),
        keys=("Shift+F",),
        icon="eye",
        tip=_T("Show each frame as it is tracked"),
        needs=Needs.PROJECT,
        is_checkable=True,
    ),
    ActionSpec(
        id="track.settle",
        text=_T("Track until nothing changes"),
        words=_T("propagate again"),
        keys=("Shift+R",),
        icon="refresh-cw",
        tip=_T("After a correction: on until the new masks agree with the old ones"),
        needs=_EDIT | Needs.IDLE,
    ),
    ActionSpec(
        id="track.one",
        text=_T("Track one frame"),
        words=_T("propagate single step"),
        keys=("T",),
        icon="step-forward",
        tip=_T("Forward, and go there"),
        needs=_EDIT | Needs.IDLE,
    ),
    ActionSpec(
        id="track.pause",
        text=_T("Pause or go on"),
        words=_T("hold resume"),
        keys=("Ctrl+Space",),
        icon="pause",
        needs=Needs.RUN,
    ),
    ActionSpec(
        id="track.cancel",
        text=_T("Cancel tracking or learning"),
        words=_T("abort stop"),
        keys=("Ctrl+.",),
        icon="square",
        needs=Needs.RUN,
    ),
    ActionSpec(
        id="track.learn",
        text=_T("Learn from the given frames"),
        words=_T("train fine-tune adapt"),
        keys=("Shift+L",),
        icon="wand-sparkles",
        tip=_T("Tracker and clicks get better at this video; the next run and click use it"),
        needs=_EDIT | Needs.IDLE | Needs.GIVEN,
        begins_section=True,
    ),
    ActionSpec(
        id="track.forget",
        text=_T("Forget what was learned"),
        words=_T("reset training"),
        icon="rotate-ccw",
        tip=_T("The networks answer as they came again; masks stay"),
        needs=_EDIT | Needs.IDLE | Needs.LEARNED,
    ),
    ActionSpec(
        id="track.confirm",
        text=_T("Confirm this frame"),
        words=_T("accept approve commit keyframe"),
        keys=("Return", "C"),
        icon="circle-check",
        tip=_T("Its masks are right and whole: remembered for ever, never overwritten"),
        needs=_EDIT,
        begins_section=True,
    ),
    ActionSpec(
        id="track.unconfirm",
        text=_T("Take the confirmation back"),
        keys=("Shift+C",),
        icon="circle",
        needs=_EDIT,
    ),
    ActionSpec(
        id="go.play",
        text=_T("Play or stop"),
        words=_T("start stop video"),
        keys=("Space",),
        icon="play",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.reverse",
        text=_T("Play backwards"),
        keys=("J",),
        tip=_T("Again: faster. While it plays, K stops and L goes forward"),
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.next",
        text=_T("Next frame"),
        keys=("Right",),
        icon="step-forward",
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="go.previous",
        text=_T("Previous frame"),
        keys=("Left",),
        icon="step-back",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.next10", text=_T("Ten frames on"), keys=("Shift+Right",), needs=Needs.PROJECT
    ),
    ActionSpec(
        id="go.previous10", text=_T("Ten frames back"), keys=("Shift+Left",), needs=Needs.PROJECT
    ),
    ActionSpec(
        id="go.first",
        text=_T("First frame"),
        keys=("Home", "Alt+Left"),
        icon="skip-back",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.last",
        text=_T("Last frame"),
        keys=("End", "Alt+Right"),
        icon="skip-forward",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.frame",
        text=_T("Go to frame…"),
        words=_T("jump number"),
        keys=("Ctrl+G",),
        icon="crosshair",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.copy_frame",
        text=_T("Copy the frame's number"),
        icon="clipboard-copy",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.next_key",
        text=_T("Next keyframe"),
        keys=("Ctrl+Right",),
        icon="diamond",
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="go.previous_key",
        text=_T("Previous keyframe"),
        keys=("Ctrl+Left",),
        icon="diamond",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.doubtful",
        text=_T("Next doubtful frame"),
        words=_T("uncertain error wrong quality"),
        keys=("N",),
        icon="flag",
        tip=_T("Where the tracker trusts its mask least"),
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.set_in",
        text=_T("Range begins here"),
        keys=("I",),
        icon="arrow-left-to-line",
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="go.set_out",
        text=_T("Range ends here"),
        keys=("U",),
        icon="arrow-right-to-line",
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="go.clear_range", text=_T("Whole video"), keys=("Alt+I",), icon="x", needs=Needs.PROJECT
    ),
    ActionSpec(
        id="view.overlay", text=_T("Overlay"), needs=Needs.PROJECT, is_checkable=True, group="view"
    ),
    ActionSpec(
        id="view.outline", text=_T("Outline"), needs=Needs.PROJECT, is_checkable=True, group="view"
    ),
    ActionSpec(
        id="view.mask", text=_T("Mask"), needs=Needs.PROJECT, is_checkable=True, group="view"
    ),
    ActionSpec(
        id="view.fade",
        text=_T("Fade the background"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="view",
    ),
    ActionSpec(
        id="view.light", text=_T("Light"), needs=Needs.PROJECT, is_checkable=True, group="view"
    ),
    ActionSpec(
        id="view.popup",
        text=_T("Grey background"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="view",
    ),
    ActionSpec(
        id="view.layer",
        text=_T("Layer behind the objects"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="view",
    ),
    ActionSpec(
        id="view.checkerboard",
        text=_T("Cut out on a checkerboard"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="view",
    ),
    ActionSpec(
        id="view.green",
        text=_T("Cut out on green"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="view",
    ),
    ActionSpec(
        id="view.side_by_side",
        text=_T("Side by side with the source"),
        needs=Needs.PROJECT,
        is_checkable=True,
        group="view",
    ),
    ActionSpec(
        id="view.next_mode", text=_T("Next view"), keys=("M",), icon="layers", needs=Needs.PROJECT
    ),
    ActionSpec(
        id="view.choose_layer",
        text=_T("Choose the layer's picture or video…"),
        words=_T("background insert"),
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="view.zoom_in",
        text=_T("Zoom in"),
        keys=("+", "="),
        icon="zoom-in",
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="view.zoom_out", text=_T("Zoom out"), keys=("-",), icon="zoom-out", needs=Needs.PROJECT
    ),
    ActionSpec(
        id="view.fit", text=_T("Fit in window"), keys=("Z",), icon="maximize", needs=Needs.PROJECT
    ),
    ActionSpec(
        id="view.actual", text=_T("Actual size"), keys=("Ctrl+1",), icon="scan", needs=Needs.PROJECT
    ),
    ActionSpec(
        id="view.opacity_up",
        text=_T("More opaque"),
        words=_T("transparency"),
        keys=("}",),
        needs=Needs.PROJECT,
        begins_section=True,
    ),
    ActionSpec(
        id="view.opacity_down",
        text=_T("Less opaque"),
        words=_T("transparency"),
        keys=("{",),
        needs=Needs.PROJECT,
    ),
    ActionSpec(
        id="view.onion_skin",
        text=_T("Onion skin"),
        words=_T("neighbours ghost"),
        keys=("O",),
        icon="ghost",
        tip=_T("The outlines of the previous and next mask"),
        needs=Needs.PROJECT,
        is_checkable=True,
    ),
    ActionSpec(
        id="view.magnifier",
        text=_T("Magnifier"),
        words=_T("loupe glass"),
        keys=("Q",),
        icon="search",
        needs=Needs.PROJECT,
        is_checkable=True,
    ),
    ActionSpec(
        id="view.hatching",
        text=_T("Hatch the objects"),
        icon="grid-2x2",
        tip=_T("Tells objects apart without their colours"),
        needs=Needs.PROJECT,
        is_checkable=True,
    ),
    ActionSpec(
        id="view.panels",
        text=_T("Panels"),
        words=_T("sidebar"),
        keys=("F4",),
        icon="panel-right",
        needs=Needs.PROJECT,
        is_checkable=True,
        begins_section=True,
    ),
    ActionSpec(
        id="view.timeline",
        text=_T("Timeline"),
        keys=("Shift+F4",),
        icon="panel-bottom",
        needs=Needs.PROJECT,
        is_checkable=True,
    ),
    ActionSpec(
        id="view.full_screen",
        text=_T("Full screen"),
        words=_T("maximise"),
        keys=("F11",),
        icon="maximize",
        is_checkable=True,
    ),
    ActionSpec(
        id="help.cheat_sheet",
        text=_T("Keys at a glance"),
        words=_T("shortcuts keyboard hotkeys help"),
        keys=("?", "F1"),
        icon="keyboard",
    ),
    ActionSpec(
        id="help.shortcuts",
        text=_T("Change keys…"),
        words=_T("shortcuts keyboard hotkeys customise"),
        icon="settings",
    ),
    ActionSpec(
        id="help.commands",
        text=_T("Find a command…"),
        words=_T("palette search"),
        keys=("Ctrl+Shift+P",),
        icon="search",
    ),
    ActionSpec(
        id="help.log", text=_T("Log…"), words=_T("messages debug"), icon="list", begins_section=True
    ),
    ActionSpec(id="help.about", text=_T("About…"), words=_T("version licence"), icon="info"),
)
