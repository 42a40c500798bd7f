"""The project folder on disk: what is in it, and how it is read, written and locked."""
