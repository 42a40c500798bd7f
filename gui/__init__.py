"""The window: what is on the screen and what a key does. The only room that knows Qt.

`document.py` is what the window shows, `annotator.py` does what the annotator asks for; widgets
know these two and never each other.
"""
