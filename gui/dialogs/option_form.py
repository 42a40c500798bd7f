"""Forms built from options that describe themselves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from PySide6.QtCore import Signal, SignalInstance
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QToolButton,
    QWidget,
)

from gui.language import tr
from gui.theme import combo, guard_wheel, lay_out, named
from interaction.formats.options import ExportOptions, OptionInfo, describe_options

__all__ = ["OptionForm", "align_labels", "as_text"]


def as_text(lines: Iterable[str]) -> str:
    """Translated, and each line with a capital letter first, as it may follow a sentence."""
    return "\n".join(line[:1].upper() + line[1:] for line in map(tr, lines))


_UNBOUNDED = 1_000_000


@dataclass(frozen=True, slots=True)
class _Field:
    widget: QWidget
    value: Callable[[], object]
    changed: SignalInstance


class OptionForm(QWidget):
    """One row a setting, with its default to begin with."""

    changed = Signal()

    def __init__(
        self,
        kind: type[ExportOptions],
        parent: QWidget | None = None,
        *,
        values: Mapping[str, object] | None = None,
    ) -> None:
        """values: by setting, to begin with in place of the default; others are left out."""
        super().__init__(parent)
        self._kind = kind
        self._fields: dict[str, _Field] = {}
        form = self.rows = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for described in describe_options(kind):
            default = (values or {}).get(described.name, described.default)
            info = replace(described, default=default)
            field = _field(info, self)
            field.widget.setToolTip(tr(info.help))
            field.widget.setAccessibleName(tr(info.title))
            field.widget.setAccessibleDescription(tr(info.help))
            self._fields[info.name] = field
            field.changed.connect(lambda *_: self.changed.emit())
            guard_wheel(field.widget)
            # A check box says itself what it is for.
            form.addRow("" if info.kind == "bool" else tr(info.title), field.widget)

    def options(self) -> ExportOptions:
        """What was chosen. ValueError for a text that cannot be."""
        return self._kind(**{name: field.value() for name, field in self._fields.items()})

    def widget(self, name: str) -> QWidget:
        """The control of one setting."""
        return self._fields[name].widget


def align_labels(*forms: QFormLayout) -> None:
    """One under the other, they look like one form."""
    role = QFormLayout.ItemRole.LabelRole
    items = [form.itemAt(row, role) for form in forms for row in range(form.rowCount())]
    labels = [label for item in items if item is not None and (label := item.widget()) is not None]
    width_px = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        label.setMinimumWidth(width_px)


def _field(info: OptionInfo, parent: QWidget) -> _Field:
    if info.kind == "bool":
        box = QCheckBox(tr(info.title), parent)
        box.setChecked(bool(info.default))
        return _Field(box, box.isChecked, box.toggled)
    if info.kind == "choice":
        choices = combo({value: tr(title) for value, title in info.choices}, parent)
        choices.setCurrentIndex(choices.findData(info.default))
        return _Field(choices, choices.currentData, choices.currentIndexChanged)
    if info.kind == "int":
        number = QSpinBox(parent)
        number.setRange(
            int(-_UNBOUNDED if info.minimum is None else info.minimum),
            int(_UNBOUNDED if info.maximum is None else info.maximum),
        )
        number.setSuffix(f" {tr(info.unit)}" if info.unit else "")
        assert isinstance(info.default, int)
        number.setValue(info.default)
        return _Field(number, number.value, number.valueChanged)
    if info.kind == "float":
        decimal = QDoubleSpinBox(parent)
        decimal.setRange(
            -_UNBOUNDED if info.minimum is None else info.minimum,
            _UNBOUNDED if info.maximum is None else info.maximum,
        )
        decimal.setSingleStep(0.1)
        decimal.setSuffix(f" {tr(info.unit)}" if info.unit else "")
        assert isinstance(info.default, float)
        decimal.setValue(info.default)
        return _Field(decimal, decimal.value, decimal.valueChanged)
    if info.kind == "color":
        button = ColorButton(str(info.default), parent)
        return _Field(button, button.color_name, button.color_changed)
    if info.kind == "path":
        place = PathField(str(info.default), tr(info.title), parent)
        return _Field(place, place.line.text, place.line.textChanged)
    line = QLineEdit(str(info.default), parent)
    return _Field(line, line.text, line.textChanged)


class ColorButton(QPushButton):
    """Shows a colour and asks for another."""

    color_changed = Signal()

    def __init__(self, color: str, parent: QWidget | None = None) -> None:
        """color: "#rrggbb"."""
        super().__init__(color, parent)
        self._show(QColor(color))
        self.clicked.connect(self._ask)

    def color_name(self) -> str:
        return self._color.name()

    def choose(self, color: QColor) -> None:
        self._show(color)
        self.color_changed.emit()

    def _ask(self) -> None:
        color = QColorDialog.getColor(self._color, self)
        if color.isValid():
            self.choose(color)

    def _show(self, color: QColor) -> None:
        self._color = color
        swatch = QPixmap(16, 16)
        swatch.fill(color)
        self.setIcon(QIcon(swatch))
        self.setText(color.name())


class PathField(QWidget):
    """A line for the path of a file or folder, and a button that asks for a file."""

    def __init__(self, path: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.line = QLineEdit(path, self)
        self.line.setAccessibleName(title)
        self.browse = named(QToolButton(self), tr("Choose a file"), tr("Choose a file"))
        self.browse.setText("…")
        self.browse.clicked.connect(self._ask)
        lay_out(QHBoxLayout(self), (self.line, 1), self.browse)
        self.setFocusProxy(self.line)

    def _ask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self._title, self.line.text())
        if path:
            self.line.setText(path)
