"""The program without a window: one module a command, put together in `app.py`."""
