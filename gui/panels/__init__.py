"""The panels beside the picture: objects, tracking, what is remembered, what was done."""
