"""Where a frame's number is shown and typed."""

import re
from typing import Final

from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QSpinBox

__all__ = ["FrameBox"]

_NUMBER: Final = re.compile(r"\s*(\d{1,12})\s*")


class FrameBox(QSpinBox):
    """Takes any number that is typed: one behind the last frame means the last frame."""

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        typed = self._typed(text)
        state = QValidator.State.Invalid
        if _NUMBER.fullmatch(typed):
            state = QValidator.State.Acceptable
        elif not typed.strip():
            state = QValidator.State.Intermediate
        return state, text, position

    def valueFromText(self, text: str) -> int:
        match = _NUMBER.fullmatch(self._typed(text))
        if match is None:
            return self.value()
        return max(self.minimum(), min(int(match[1]), self.maximum()))

    def _typed(self, text: str) -> str:
        return text.removesuffix(self.suffix())
