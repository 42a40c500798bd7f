"""Propagation through a video, with and without a project, and its evaluation."""
