"""The picture and all that is done on it with the mouse.

`view.py` puts it together: `viewport.py` zooms and pans, `backdrop.py` paints frame and masks,
`tools/` turns the mouse's movements into what is asked of the annotator.
"""

from gui.canvas.view import CanvasView

__all__ = ["CanvasView"]
