"""Frames by index, from a video file or a folder of pictures."""
