"""Scores of masks, and runs over whole data sets."""
