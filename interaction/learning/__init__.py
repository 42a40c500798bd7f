"""Adapt a project's networks to its video, from the frames given by the annotator."""
