"""Learning from what the annotator has given: a project's networks get better at its video."""
