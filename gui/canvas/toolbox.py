"""All tools of the canvas, one of which is in the hand."""

from collections.abc import Callable
from typing import Final

from gui.annotator import Annotator
from gui.canvas.drawing_tools import BrushTool, EraserTool, LassoTool, ScribbleTool
from gui.canvas.shown_frame import ShownFrame
from gui.canvas.sketch import Sketch
from gui.canvas.tools import BoxTool, CanvasTool, ClickTool, FillTool, SelectTool, Stage
from gui.canvas.viewport import ZoomableView
from gui.document import Document
from gui.view_state import Tool

__all__ = ["make_tools"]

_TOOLS: Final[dict[Tool, type[CanvasTool]]] = {
    Tool.SELECT: SelectTool,
    Tool.CLICK: ClickTool,
    Tool.BOX: BoxTool,
    Tool.SCRIBBLE: ScribbleTool,
    Tool.BRUSH: BrushTool,
    Tool.ERASER: EraserTool,
    Tool.LASSO: LassoTool,
    Tool.FILL: FillTool,
}


def make_tools(
    view: ZoomableView,
    document: Document,
    annotator: Annotator,
    sketch: Sketch,
    shown: ShownFrame,
    expect_masks: Callable[[], None],
) -> dict[Tool, CanvasTool]:
    """All of them on one stage."""
    stage = Stage(
        document,
        annotator,
        sketch,
        shown.preview,
        shown.labels,
        shown.object_at,
        shown.color_of,
        lambda: view.scale_factor,
        view.pan_by,
        expect_masks,
    )
    return {tool: make(stage) for tool, make in _TOOLS.items()}
