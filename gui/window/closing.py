"""What is asked before a project closes, so that nothing ends without a word."""

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from gui.errors import summary_and_advice
from gui.work.annotator import Annotator
from interaction.errors import UserError

__all__ = ["await_answers", "may_discard", "may_stop"]

_CANCEL = QMessageBox.StandardButton.Cancel


def tr(text: str) -> str:
    return QCoreApplication.translate("Closing", text)


def await_answers(annotator: Annotator, parent: QWidget) -> bool:
    """Waits until clicks, boxes and scribbles are answered, or somebody gives them up. False if
    the annotator goes on working, or an answer failed, which is to be seen."""
    if not annotator.awaits_answers:
        return True
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Information)
    box.setWindowTitle(tr("Still working"))
    box.setText(tr("Your last click is still being answered. Closing as soon as it is."))
    give_up = box.addButton(tr("Close without it"), QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(_CANCEL))
    failures: list[Exception] = []

    def follow() -> None:
        if not annotator.awaits_answers:
            box.accept()

    annotator.awaited_changed.connect(follow)
    annotator.failed.connect(failures.append)
    box.exec()
    annotator.awaited_changed.disconnect(follow)
    annotator.failed.disconnect(failures.append)
    is_given_up = box.clickedButton() is give_up
    box.deleteLater()
    if is_given_up:
        annotator.give_up_answers()
    return not annotator.awaits_answers and not failures


def may_stop(parent: QWidget) -> bool:
    """Whether what runs may be cut short; what is finished is kept in any case."""
    answer = QMessageBox.question(
        parent,
        tr("Still working"),
        tr(
            "The program is still at work. If you stop it now, everything that is finished is kept."
        ),
        QMessageBox.StandardButton.Abort | _CANCEL,
        _CANCEL,
    )
    return answer == QMessageBox.StandardButton.Abort


def may_discard(problem: UserError, parent: QWidget) -> bool:
    """Whether to close although the last changes cannot be saved."""
    summary, advice = summary_and_advice(problem)
    answer = QMessageBox.warning(
        parent,
        tr("Not everything is saved"),
        f"{summary}\n\n{advice}\n\n" + tr("If you close now, what has not been saved is lost."),
        QMessageBox.StandardButton.Discard | _CANCEL,
        _CANCEL,
    )
    return answer == QMessageBox.StandardButton.Discard
