"""Between widgets and session: the document, the annotator, long operations, the engine thread."""
