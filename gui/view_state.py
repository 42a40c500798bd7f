"""The choices that shape what the window shows: plain values, no widgets."""

from enum import Enum

__all__ = ["WIDEST_OUTLINE_PX", "Tool", "ViewMode"]

WIDEST_OUTLINE_PX = 4  # of what a mask is drawn with


class Tool(Enum):
    """What the mouse does on the picture."""

    SELECT = "select"  # pick an object, pan by dragging
    CLICK = "click"  # left adds to the object, right removes
    BOX = "box"
    SCRIBBLE = "scribble"
    BRUSH = "brush"
    ERASER = "eraser"
    LASSO = "lasso"
    FILL = "fill"  # a hole that is clicked is filled, a speck removed


class ViewMode(Enum):
    """How frame and masks are put together."""

    OVERLAY = "overlay"  # the object's colour over the frame, with its outline
    OUTLINE = "outline"
    MASK = "mask"  # colours alone
    FADE = "fade"  # what is not an object is darker
    LIGHT = "light"  # only a hint of the colour
    POPUP = "popup"  # objects in colour, the rest grey
    LAYER = "layer"  # a picture between background and objects
    CHECKERBOARD = "checkerboard"  # the objects cut out
    GREEN = "green"  # the objects before a green screen
    SIDE_BY_SIDE = "side by side"  # the source beside the overlay
