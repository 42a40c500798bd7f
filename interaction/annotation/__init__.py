"""The annotation: records, objects, edits, history, requests, and masks as palette PNGs."""
