"""All tools of the canvas, one of which is in the hand."""

from typing import Final

from gui.canvas.drawing_tools import BrushTool, EraserTool, LassoTool, ScribbleTool
from gui.canvas.tools import BoxTool, CanvasTool, ClickTool, FillTool, SelectTool, Stage
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


def make_tools(stage: Stage) -> dict[Tool, CanvasTool]:
    return {tool: make(stage) for tool, make in _TOOLS.items()}
