"""What is asked before a project closes, so that nothing ends without a word."""

from PySide6.QtWidgets import QMessageBox, QWidget

from gui.errors import summary_and_advice
from gui.language import tr
from gui.work.annotator import Annotator
from interaction.errors import UserError

__all__ = ["await_answers", "may_discard", "may_stop"]

_CANCEL = QMessageBox.StandardButton.Cancel


def await_answers(annotator: Annotator, parent: QWidget) -> bool:
    """Wait until clicks, boxes and scribbles are answered, or given up. False if the annotator
    goes on working, or if an answer failed: its message has to be seen."""
    if not annotator.prompts.are_waiting:
        return True
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Information)
    box.setWindowTitle(tr("Still working"))
    box.setText(tr("Your last click is still being answered. Closing as soon as it is."))
    give_up = box.addButton(tr("Close without it"), QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(_CANCEL))
    failures: list[Exception] = []

    def follow() -> None:
        if not annotator.prompts.are_waiting:
            box.accept()

    annotator.operations.changed.connect(follow)
    annotator.document.failed.connect(failures.append)
    box.exec()
    annotator.operations.changed.disconnect(follow)
    annotator.document.failed.disconnect(failures.append)
    is_given_up = box.clickedButton() is give_up
    box.deleteLater()
    if is_given_up:
        annotator.prompts.give_up()
    return not annotator.prompts.are_waiting and not failures


def may_stop(annotator: Annotator, parent: QWidget) -> bool:
    """Whether what runs may be cut short; what is finished is kept in any case."""
    if annotator.tracking.is_running:
        text = tr("Tracking is not finished. Every frame that is tracked is kept.")
        if annotator.tracking.can_resume_later:
            text += "\n\n" + tr("When the project is opened again, this run can be resumed.")
        stop, go_on = tr("Stop tracking and close"), tr("Go on tracking")
    elif annotator.learning.is_running:
        text = tr("Learning is not finished. What is not learned by now is lost; masks are kept.")
        stop, go_on = tr("Stop learning and close"), tr("Go on learning")
    else:
        text = tr("An operation is still running. Everything that is finished is kept.")
        stop, go_on = tr("Stop and close"), tr("Go on working")
    return _choice(parent, tr("Still working"), text, stop, go_on)


def may_discard(problem: UserError, parent: QWidget) -> bool:
    """Whether to close although the last changes cannot be saved."""
    summary, advice = summary_and_advice(problem)
    text = f"{summary}\n\n{advice}\n\n" + tr("If you close now, what has not been saved is lost.")
    title = tr("Not everything is saved")
    return _choice(parent, title, text, tr("Close and lose it"), tr("Stay open"))


def _choice(parent: QWidget, title: str, text: str, do: str, stay: str) -> bool:
    """Two buttons that say what they do; the one that loses nothing is the default."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=parent)
    chosen = box.addButton(do, QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton(stay, QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    is_chosen = box.clickedButton() is chosen
    box.deleteLater()
    return is_chosen
