"""The table of actions: name, text, key, icon, handler and when each is enabled."""

from dataclasses import KW_ONLY, dataclass, replace
from enum import Flag, auto
from typing import Final

from interaction.formats.looks import ViewMode
from xmem_core.messages import Message

__all__ = ["ACTIONS", "MENUS", "ActionSpec", "Needs", "view_action"]


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
    keys: str = ""  # apart by spaces
    _: KW_ONLY
    icon: str | None = None
    words: str = ""  # by which it is found, beside those of its text
    tip: str = ""
    needs: Needs = Needs.NOTHING  # beside what its section needs
    is_toggle: bool = False
    group: str = ""  # of checkable actions that exclude each other
    begins_section: bool = False  # a line above it in the menu

    @property
    def menu(self) -> str:
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        """The id without the menu; of a tool, its `CanvasTool.name`."""
        return self.id.split(".")[1]

    @property
    def is_checkable(self) -> bool:
        return self.is_toggle or bool(self.group)


def _section(needs: Needs, *rows: ActionSpec) -> tuple[ActionSpec, ...]:
    """The rows between two lines of a menu. needs: of all of them."""
    return tuple(
        replace(row, needs=row.needs | needs, begins_section=index == 0)
        for index, row in enumerate(rows)
    )


def view_action(mode: ViewMode) -> str:
    """The id of the action that chooses the view."""
    return f"view.{mode.value.replace(' ', '_')}"


_EDIT: Final = Needs.PROJECT | Needs.WRITABLE
_ON_FRAMES: Final = _EDIT | Needs.OBJECT | Needs.IDLE  # of the object, many at once

MENUS: Final = {
    "file": Message("&File"),
    "edit": Message("&Edit"),
    "tool": Message("&Tools"),
    "object": Message("&Object"),
    "track": Message("Trac&k"),
    "go": Message("&Go"),
    "view": Message("&View"),
    "help": Message("&Help"),
}

# What an action is; by which words it is found; its tip.
# fmt: off
ACTIONS: Final = (
    *_section(Needs.NOTHING,
        ActionSpec("file.open_video", Message("Open video…"), "Ctrl+O", icon="file-video"),
        ActionSpec("file.open_folder", Message("Open folder of pictures…"), "Ctrl+Shift+O",
            icon="images"),
        ActionSpec("file.open_project", Message("Open project…"), "Ctrl+Alt+O", icon="folder-open"),
        ActionSpec("file.sample", Message("Try the sample"), icon="sparkles"),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("file.import", Message("Import masks…"), "Ctrl+I", icon="download",
            needs=Needs.WRITABLE, words=Message("load read annotations")),
        ActionSpec("file.export", Message("Export…"), "Ctrl+E", icon="upload",
            words=Message("save write render video")),
        ActionSpec("file.verify", Message("Verify an export…"), "Ctrl+Alt+E", icon="circle-check",
            words=Message("check belongs hash frames.csv exact"),
            tip=Message("Whether an export was made for this very video, picture by picture")),
        ActionSpec("file.save_version", Message("Save a named version…"), "Ctrl+S", icon="bookmark",
            needs=Needs.WRITABLE, words=Message("snapshot backup"),
            tip=Message("Everything is saved all the time; a named version is a place to return "
                        "to")),
        ActionSpec("file.save_copy", Message("Save as a new project…"), "Ctrl+Shift+S", icon="save",
            tip=Message("A project of its own about the same video, with the masks of this one")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("file.preferences", Message("Preferences…"), "Ctrl+,", icon="settings",
            words=Message("settings options theme dark light appearance device")),
        ActionSpec("file.models", Message("Models…"), icon="cpu",
            words=Message("weights network download checkpoint")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("file.close", Message("Close project"), "Ctrl+W", icon="x", needs=Needs.PROJECT),
        ActionSpec("file.quit", Message("Quit"), "Ctrl+Q", icon="log-out", words=Message("exit")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("edit.undo", Message("Undo"), "Ctrl+Z", icon="undo-2", needs=Needs.UNDO),
        ActionSpec("edit.redo", Message("Redo"), "Ctrl+Shift+Z Ctrl+Y", icon="redo-2",
            needs=Needs.REDO),
        ActionSpec("edit.stop", Message("Cancel, or take the last click back"), "Esc",
            icon="circle-x", needs=Needs.BUSY, words=Message("abort escape")),
    ),
    *_section(_EDIT,
        ActionSpec("edit.copy_previous", Message("Copy mask from the previous frame"),
            "Ctrl+D", icon="copy", words=Message("duplicate")),
        ActionSpec("edit.copy_next", Message("Copy mask from the next frame"), "Ctrl+Shift+D",
            icon="copy", words=Message("duplicate")),
    ),
    *_section(_EDIT,
        ActionSpec("edit.clear_object", Message("Clear the object on this frame"), "Del",
            icon="eraser", needs=Needs.OBJECT | Needs.MASK, words=Message("delete erase remove")),
        ActionSpec("edit.clear_from", Message("Clear the object from here on"), icon="eraser",
            needs=Needs.OBJECT | Needs.IDLE, words=Message("delete erase remove rest"),
            tip=Message("Off this frame and all after it, to the range's end if there is one")),
        ActionSpec("edit.clear_range", Message("Clear the object in the range"), icon="eraser",
            needs=Needs.OBJECT | Needs.IDLE, words=Message("delete erase remove frames"),
            tip=Message("Off every frame of the range, which I and U set")),
        ActionSpec("edit.clear_frame", Message("Reset this frame"), "Shift+Del", icon="rotate-ccw",
            needs=Needs.MASK, words=Message("delete erase remove all"),
            tip=Message("Takes every object off this frame")),
    ),
    *_section(_EDIT | Needs.OBJECT,
        ActionSpec("edit.fill_holes", Message("Fill holes"), "Alt+L", icon="paint-bucket",
            needs=Needs.MASK, words=Message("gaps close clean")),
        ActionSpec("edit.remove_specks", Message("Remove specks"), "Alt+S", icon="sparkles",
            needs=Needs.MASK, words=Message("noise clean despeckle islands")),
        ActionSpec("edit.remove_pieces", Message("Remove pieces up to a size…"), icon="sparkles",
            needs=Needs.MASK,
            tip=Message("As Remove specks, with a size to choose")),
        ActionSpec("edit.clean_range", Message("Clean up the range…"), icon="sparkles",
            needs=Needs.IDLE, words=Message("surgery many frames"),
            tip=Message("Fill holes, remove specks, grow, shrink or smooth on every frame of "
                        "the range")),
        ActionSpec("edit.grow", Message("Grow by a pixel"), "Alt+=", icon="expand",
            needs=Needs.MASK, words=Message("dilate expand bigger")),
        ActionSpec("edit.shrink", Message("Shrink by a pixel"), "Alt+-", icon="shrink",
            needs=Needs.MASK, words=Message("erode contract smaller")),
        ActionSpec("edit.smooth", Message("Smooth the edge"), "Alt+M", icon="bandage",
            needs=Needs.MASK, words=Message("soften contour")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("tool.select", Message("Select and pan"), "V", icon="mouse-pointer-2",
            group="tool", words=Message("hand move pick"),
            tip=Message("Click an object to make it current; drag to move the picture")),
        ActionSpec("tool.click", Message("Click"), "K", icon="mouse-pointer-click", group="tool",
            words=Message("point positive negative"),
            tip=Message("Left click adds to the object, right click takes away")),
        ActionSpec("tool.box", Message("Box"), "X", icon="square-dashed", group="tool",
            words=Message("rectangle bounding"),
            tip=Message("Draw a box around the object")),
        ActionSpec("tool.scribble", Message("Scribble"), "S", icon="spline", group="tool",
            words=Message("draw rough"),
            tip=Message("Draw roughly along the object; with the right button, along what is not")),
        ActionSpec("tool.brush", Message("Brush"), "P", icon="brush", group="tool",
            words=Message("paint pen draw"),
            tip=Message("Paint exactly; Alt erases")),
        ActionSpec("tool.eraser", Message("Eraser"), "E", icon="eraser", group="tool",
            words=Message("rubber"),
            tip=Message("Take away exactly")),
        ActionSpec("tool.lasso", Message("Lasso"), "L", icon="lasso", group="tool",
            words=Message("polygon outline"),
            tip=Message("Fill what you draw around")),
        ActionSpec("tool.fill", Message("Fill"), "G", icon="paint-bucket", group="tool",
            words=Message("bucket"),
            tip=Message("Click a hole to fill it, a speck to remove it")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("tool.smaller", Message("Smaller brush"), "[", icon="minus",
            words=Message("size radius thinner width")),
        ActionSpec("tool.larger", Message("Larger brush"), "]", icon="plus",
            words=Message("size radius bigger thicker width")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("object.add", Message("New object"), "Ctrl+N", icon="plus", needs=_EDIT,
            words=Message("create layer instance")),
        ActionSpec("object.rename", Message("Rename…"), "F2", icon="pen-line",
            needs=_EDIT | Needs.OBJECT),
        ActionSpec("object.recolor", Message("Change colour…"), icon="palette",
            needs=_EDIT | Needs.OBJECT, words=Message("color palette")),
        ActionSpec("object.lock", Message("Lock or unlock"), "Ctrl+L", icon="lock",
            needs=_EDIT | Needs.OBJECT),
        ActionSpec("object.hide", Message("Show or hide"), "Ctrl+H", icon="eye",
            needs=_EDIT | Needs.OBJECT, words=Message("visibility")),
        ActionSpec("object.solo", Message("Show only this one"), "Ctrl+Shift+H", icon="focus",
            needs=Needs.OBJECT, words=Message("isolate")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("object.next", Message("Next object"), "Ctrl+Down"),
        ActionSpec("object.previous", Message("Previous object"), "Ctrl+Up"),
        ActionSpec("object.find", Message("Find object…"), "Ctrl+F", icon="search"),
    ),
    *_section(_ON_FRAMES,
        ActionSpec("object.present", Message("Present here"), "Shift+P", icon="eye",
            words=Message("presence visible range"),
            tip=Message("On this frame, or in the range that I and U set")),
        ActionSpec("object.occluded", Message("Occluded here"), "Shift+O", icon="contrast",
            words=Message("presence covered hidden range"),
            tip=Message("Covered on this frame, or in the range that I and U set")),
        ActionSpec("object.absent", Message("Absent here"), "Shift+A", icon="ghost",
            words=Message("presence gone outside negative range"),
            tip=Message("Not in the picture on this frame, or in the range that I and U set: "
                        "its mask there becomes empty, and tracking leaves it so")),
        ActionSpec("object.not_looked_at", Message("Not looked at here"), "Shift+N",
            icon="circle-help", words=Message("presence unknown reset range"),
            tip=Message("Removes the presence set for it")),
    ),
    *_section(_ON_FRAMES,
        ActionSpec("object.keep_covered", Message("Keep covered pixels"), "Ctrl+K", icon="layers",
            is_toggle=True, words=Message("overlap amodal transparent glass shadow both"),
            tip=Message("What other objects cover of it stays, beneath them")),
        ActionSpec("object.to_front", Message("Bring to front"), "Ctrl+Shift+Up",
            words=Message("overlap above over order raise range"),
            tip=Message("Before all objects that it overlaps, on this frame or in the range "
                        "that I and U set")),
        ActionSpec("object.to_back", Message("Send to back"), "Ctrl+Shift+Down",
            words=Message("overlap below under order lower range"),
            tip=Message("Behind all objects that it overlaps, on this frame or in the range "
                        "that I and U set")),
    ),
    *_section(_ON_FRAMES,
        ActionSpec("object.split", Message("Split into its parts"), icon="split", needs=Needs.MASK,
            tip=Message("Each further part on this frame becomes an object of its own")),
        ActionSpec("object.merge", Message("Merge into…"), icon="merge"),
        ActionSpec("object.swap", Message("Swap with… from here on"), icon="arrow-left-right"),
    ),
    *_section(_ON_FRAMES,
        ActionSpec("object.delete", Message("Delete object"), "Ctrl+Del", icon="trash-2",
            words=Message("remove"),
            tip=Message("From every frame; Undo brings it back")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("track.forward", Message("Track forward"), "F", icon="arrow-right",
            needs=_EDIT | Needs.IDLE, words=Message("propagate run follow"),
            tip=Message("Follow the objects, as the Track panel says: until where, and which")),
        ActionSpec("track.backward", Message("Track backward"), "B", icon="arrow-left",
            needs=_EDIT | Needs.IDLE, words=Message("propagate run follow")),
        ActionSpec("track.both", Message("Track both ways"), "Shift+B", icon="move-horizontal",
            needs=_EDIT | Needs.IDLE, words=Message("propagate run follow")),
        ActionSpec("track.follow", Message("Follow the head"), "Shift+F", icon="eye",
            needs=Needs.PROJECT, is_toggle=True, words=Message("watch playhead"),
            tip=Message("Show each frame as it is tracked")),
        ActionSpec("track.blend", Message("Blend both passes between keyframes"), "Ctrl+Shift+B",
            icon="blend", needs=Needs.PROJECT, is_toggle=True,
            words=Message("two forward backward fuse merge"),
            tip=Message("Track back from the next keyframe, too, and make one mask of both "
                        "passes")),
        ActionSpec("track.keep_probabilities", Message("Keep the network's probabilities"),
            "Ctrl+Alt+K", icon="contrast", needs=Needs.PROJECT, is_toggle=True,
            words=Message("soft edge matte alpha opacity"),
            tip=Message("In this project, beside the masks: for exports with soft edges")),
        ActionSpec("track.settle", Message("Track until nothing changes"), "Shift+R",
            icon="refresh-cw", needs=_EDIT | Needs.IDLE, words=Message("propagate again"),
            tip=Message("After a correction: on until the new masks agree with the old ones")),
        ActionSpec("track.one", Message("Track one frame"), "T", icon="step-forward",
            needs=_EDIT | Needs.IDLE, words=Message("propagate single step"),
            tip=Message("Forward, and go there")),
        ActionSpec("track.closer", Message("Look closer"), "Ctrl+B", icon="scan",
            needs=_EDIT | Needs.IDLE, words=Message("zoom crop box region small 4K"),
            tip=Message("Track small things in a box that follows them; once more: the whole "
                        "picture")),
        ActionSpec("track.forecast", Message("Measure what tracking needs"), "Ctrl+T", icon="gauge",
            needs=_EDIT | Needs.IDLE, words=Message("forecast memory disk time estimate predict"),
            tip=Message("Track the first frames without keeping them, then say time, memory and "
                        "disk")),
        ActionSpec("track.pause", Message("Pause or go on"), "Ctrl+Space", icon="pause",
            needs=Needs.RUN, words=Message("hold resume")),
        ActionSpec("track.cancel", Message("Cancel tracking or learning"), "Ctrl+.", icon="square",
            needs=Needs.RUN, words=Message("abort stop")),
    ),
    *_section(_EDIT | Needs.IDLE,
        ActionSpec("track.learn", Message("Learn from the given frames"), "Shift+L",
            icon="wand-sparkles", needs=Needs.GIVEN, words=Message("train fine-tune adapt"),
            tip=Message("Tracker and clicks get better at this video; the next run and click "
                        "use it")),
        ActionSpec("track.forget", Message("Forget what was learned"), icon="rotate-ccw",
            needs=Needs.LEARNED, words=Message("reset training"),
            tip=Message("Discard learned weights and use the base models; masks stay")),
        ActionSpec("track.accept_absence", Message("Accept a proposed absence"), "A", icon="ghost",
            words=Message("presence specks gone"),
            tip=Message("Where the last run saw an object shrink to specks, it is absent")),
    ),
    *_section(_EDIT,
        ActionSpec("track.pin", Message("Pin to memory"), "Shift+M", icon="bookmark",
            words=Message("permanent keep remember keyframe range"),
            tip=Message("This frame, or those in the range that I and U set, stay in the "
                        "tracker's memory with the masks they have, which no run replaces then")),
        ActionSpec("track.exclude", Message("Keep out of memory"), "Shift+X", icon="circle-x",
            words=Message("exclude evict forget bad frames range"),
            tip=Message("The tracker takes this frame, or those in the range that I and U set, "
                        "out of its memory, also in a run that goes on, and never memorises "
                        "them; masks stay")),
        ActionSpec("track.release", Message("Leave to memory"), "Shift+U", icon="rotate-ccw",
            words=Message("unpin include reset range"),
            tip=Message("Removes the memory rule of this frame, or of those in the range")),
        ActionSpec("track.resume", Message("Go on with the interrupted run"), "Ctrl+Shift+Space",
            icon="play", needs=Needs.IDLE, words=Message("resume continue"),
            tip=Message("The run that was stopped last, also before the project was closed, "
                        "exactly")),
    ),
    *_section(_EDIT,
        ActionSpec("track.confirm", Message("Confirm this frame"), "Return C", icon="circle-check",
            words=Message("accept approve commit keyframe"),
            tip=Message("Its masks are right and whole: remembered for ever, never overwritten")),
        ActionSpec("track.unconfirm", Message("Take the confirmation back"), "Shift+C",
            icon="circle"),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("go.play", Message("Play or stop"), "Space", icon="play",
            words=Message("start stop video")),
        ActionSpec("go.reverse", Message("Play backwards"), "J",
            tip=Message("Again: faster. While it plays, K stops and L goes forward")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("go.next", Message("Next frame"), "Right", icon="step-forward"),
        ActionSpec("go.previous", Message("Previous frame"), "Left", icon="step-back"),
        ActionSpec("go.next10", Message("Ten frames on"), "Shift+Right"),
        ActionSpec("go.previous10", Message("Ten frames back"), "Shift+Left"),
        ActionSpec("go.first", Message("First frame"), "Home Alt+Left", icon="skip-back"),
        ActionSpec("go.last", Message("Last frame"), "End Alt+Right", icon="skip-forward"),
        ActionSpec("go.frame", Message("Go to frame…"), "Ctrl+G", icon="crosshair",
            words=Message("jump number")),
        ActionSpec("go.copy_frame", Message("Copy the frame's number"), icon="clipboard-copy"),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("go.next_key", Message("Next keyframe"), "Ctrl+Right", icon="diamond"),
        ActionSpec("go.previous_key", Message("Previous keyframe"), "Ctrl+Left", icon="diamond"),
        ActionSpec("go.next_cut", Message("Next cut"), "Ctrl+Shift+Right", icon="film",
            words=Message("shot scene"),
            tip=Message("The first frame of the next shot")),
        ActionSpec("go.previous_cut", Message("Previous cut"), "Ctrl+Shift+Left", icon="film",
            words=Message("shot scene"),
            tip=Message("The first frame of this shot, or of the one before")),
        ActionSpec("go.doubtful", Message("Next frame to annotate"), "N", icon="flag",
            words=Message("doubtful uncertain error wrong quality suggest trust"),
            tip=Message("The frame whose correction would repair most others")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("go.set_in", Message("Range begins here"), "I", icon="arrow-left-to-line"),
        ActionSpec("go.set_out", Message("Range ends here"), "U", icon="arrow-right-to-line"),
        ActionSpec("go.clear_range", Message("Whole video"), "Alt+I", icon="x"),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("view.overlay", Message("Overlay"), group="view"),
        ActionSpec("view.outline", Message("Outline"), group="view"),
        ActionSpec("view.mask", Message("Mask"), group="view"),
        ActionSpec("view.fade", Message("Fade the background"), group="view"),
        ActionSpec("view.light", Message("Light"), group="view"),
        ActionSpec("view.popup", Message("Grey background"), group="view"),
        ActionSpec("view.layer", Message("Layer behind the objects"), group="view"),
        ActionSpec("view.checkerboard", Message("Cut out on a checkerboard"), group="view"),
        ActionSpec("view.green", Message("Cut out on green"), group="view"),
        ActionSpec("view.side_by_side", Message("Side by side with the source"), group="view"),
        ActionSpec("view.next_mode", Message("Next view"), "M", icon="layers"),
        ActionSpec("view.choose_layer", Message("Choose the layer's picture or video…"),
            words=Message("background insert")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("view.zoom_in", Message("Zoom in"), "+ =", icon="zoom-in"),
        ActionSpec("view.zoom_out", Message("Zoom out"), "-", icon="zoom-out"),
        ActionSpec("view.fit", Message("Fit in window"), "Z", icon="maximize"),
        ActionSpec("view.actual", Message("Actual size"), "Ctrl+1", icon="scan"),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("view.opacity_up", Message("More opaque"), "}", words=Message("transparency")),
        ActionSpec("view.opacity_down", Message("Less opaque"), "{", words=Message("transparency")),
        ActionSpec("view.onion_skin", Message("Onion skin"), "O", icon="ghost", is_toggle=True,
            words=Message("neighbours ghost"),
            tip=Message("The outlines of the previous and next mask")),
        ActionSpec("view.magnifier", Message("Magnifier"), "Q", icon="search", is_toggle=True,
            words=Message("loupe glass")),
        ActionSpec("view.hatching", Message("Hatch the objects"), icon="grid-2x2", is_toggle=True,
            tip=Message("Distinguishes objects without their colours")),
        ActionSpec("view.covered", Message("Show covered pixels"), "Shift+K", icon="layers",
            is_toggle=True, words=Message("overlap hidden beneath stripes"),
            tip=Message("Stripes where an object lies beneath another")),
    ),
    *_section(Needs.PROJECT,
        ActionSpec("view.panels", Message("Panels"), "F4", icon="panel-right", is_toggle=True,
            words=Message("sidebar")),
        ActionSpec("view.timeline", Message("Timeline"), "Shift+F4", icon="panel-bottom",
            is_toggle=True),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("view.effort", Message("Effort…"), "Ctrl+Shift+E", icon="clock",
            needs=Needs.PROJECT, words=Message("statistics time clicks strokes cost meter"),
            tip=Message("Clicks, strokes, work and waiting, by object")),
        ActionSpec("view.full_screen", Message("Full screen"), "F11", icon="maximize",
            is_toggle=True, words=Message("maximise")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("help.cheat_sheet", Message("Keys at a glance"), "? F1", icon="keyboard",
            words=Message("shortcuts keyboard hotkeys help")),
        ActionSpec("help.shortcuts", Message("Change keys…"), icon="settings",
            words=Message("shortcuts keyboard hotkeys customise")),
        ActionSpec("help.commands", Message("Find a command…"), "Ctrl+Shift+P", icon="search",
            words=Message("palette search")),
    ),
    *_section(Needs.NOTHING,
        ActionSpec("help.log", Message("Log…"), icon="list", words=Message("messages debug")),
        ActionSpec("help.about", Message("About…"), icon="info", words=Message("version licence")),
    ),
)
# fmt: on
