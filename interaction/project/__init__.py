"""What is on disk: frames to read, masks to read and write, folders of results."""
