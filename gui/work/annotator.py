"""The parts that turn requests into edits, by name."""

from collections.abc import Generator

from PySide6.QtCore import QObject

from gui.work.bulk import BulkEdits
from gui.work.document import Document
from gui.work.hand import HandEdits
from gui.work.learning import Learning
from gui.work.operations import EngineThread, Kind, Operation, Operations
from gui.work.prompts import ClickPreviews, PromptEdits
from gui.work.struggle import Struggle
from gui.work.tracking import Tracking
from interaction.engines import EngineSettings

__all__ = ["Annotator"]


class Annotator(QObject):
    """Widgets request edits of its parts and read the document; nothing else knows the threads."""

    def __init__(
        self,
        document: Document,
        engine: EngineThread,
        files: EngineThread,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.document = document
        self.operations = Operations(document, engine, files, self)
        self.hand = HandEdits(document)
        self.prompts = PromptEdits(document, self.operations, self.hand, self)
        self.previews = ClickPreviews(document, self.operations, engine, self)
        self.bulk = BulkEdits(document, self.operations)
        self.tracking = Tracking(document, self.operations, self)
        self.struggle = Struggle(document, self.tracking, self)
        self.learning = Learning(document, self.operations, self)
        self.learning.learned.connect(self.warm_up)

    def warm_up(self) -> None:
        """Load the networks before they are needed."""
        engines = self.document.session.engines

        def steps() -> Generator[None, None, None]:
            from xmem_core.device import keep_freed_memory

            keep_freed_memory()
            engines.segmenter()
            yield
            engines.start_tracker()

        # A model that cannot be loaded is reported when it is needed.
        self.operations.start(Operation(Kind.BACKGROUND, steps, reports_errors=False))

    def configure_engines(self, settings: EngineSettings) -> None:
        """From the next click and the next propagation on."""
        # Learned weights belong to the models they began with.
        self.operations.in_background(
            lambda: self.document.session.engines.configure(settings),
            lambda _: self.learning.changed.emit(),
        )

    def undo(self) -> None:
        """Take back the newest: a prompt that has no answer yet, or what waits for it; else an
        operation since whose begin nothing else was done, as far as it has come; else the last
        step of the history."""
        for operation in reversed(tuple(self.operations)):
            edits = operation.edits
            if operation.kind is Kind.PROMPT or not operation.is_started:
                self.operations.discard(operation)
                return
            if edits is not None and edits.are_newest:
                self.operations.discard(operation)
                if not edits.has_begun:
                    return
                break
        self.document.undo()

    def redo(self) -> None:
        self.document.redo()

    def go_to(self, position: int) -> None:
        """Undo or redo to a place in the history. Prompts that have no answer yet are given up."""
        if self.operations.may_start(Kind.BULK_EDIT):
            self.prompts.give_up()
            self.document.go_to(position)

    def cancel(self) -> bool:
        """Stop the nearest to the annotator: prompts, else what changes many frames or learns,
        else what is written. False if nothing runs."""
        return (
            self.prompts.give_up()
            or self.operations.cancel(Kind.TRACKING, Kind.LEARNING, Kind.BULK_EDIT)
            or self.operations.cancel(Kind.FILE)
        )
