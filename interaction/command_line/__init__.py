"""The program without a window: one module a subject, put together in `app.py`."""
