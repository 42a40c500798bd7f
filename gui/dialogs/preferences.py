"""What belongs to the person: language, looks, engine, memory for frames."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QFormLayout,
    QSpinBox,
    QWidget,
)

from gui.actions.actions import Actions
from gui.dialogs.commands import ShortcutsDialog
from gui.dialogs.dialog import Dialog
from gui.language import SYSTEM, languages, tr
from gui.preferences import Preferences
from gui.theme import guard_wheel, remark
from gui.work.document import WIDEST_OUTLINE_PX

__all__ = ["PreferencesDialog"]

_SIZES_PX: Final = (240, 360, 480, 600, 720, 1080)
_MIB: Final = 2**20

T = TypeVar("T")


_Row = tuple[str, QWidget, str]  # title, control, tooltip


class PreferencesDialog(Dialog):
    def __init__(
        self, preferences: Preferences, actions: Actions, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Preferences"), parent)
        self.setMinimumWidth(460)
        self._preferences = preferences
        form = QFormLayout()
        for title, field, tip in (*self._looks(), *self._runs(), *self._machine()):
            guard_wheel(field)
            field.setToolTip(tip)
            field.setAccessibleName(title)
            field.setAccessibleDescription(tip)
            form.addRow(title, field)
        note = remark(
            tr(
                "Device, tracking size and memorising hold from the next propagation on; memory "
                "for frames from the next project on; the language from the next start on."
            ),
            self,
        )
        self.keys = self.add_button(tr("Keys…"), lambda: ShortcutsDialog(actions, self).open())
        self.keys.setAutoDefault(False)
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        self.keys.setToolTip(tr("Change the keys of the commands"))
        self.lay_out(form, note)

    def _looks(self) -> tuple[_Row, ...]:
        preferences = self._preferences
        self.language = self._choice(
            {SYSTEM: tr("As the system"), **languages()}, preferences.language, "language"
        )
        self.scheme = self._choice(
            {"system": tr("As the system"), "light": tr("Light"), "dark": tr("Dark")},
            preferences.scheme,
            "scheme",
        )
        self.opacity = self._percent(preferences.opacity, "opacity")
        self.outline_px = self._number(
            1, WIDEST_OUTLINE_PX, tr(" px"), preferences.outline_px, self._setter("outline_px")
        )
        self.outline_opacity = self._percent(preferences.outline_opacity, "outline_opacity")
        self.previews = self._check(
            tr("Show what a click would do"), preferences.has_previews, "has_previews"
        )
        return (
            (tr("Language"), self.language, tr("Holds from the next start on")),
            (tr("Colours"), self.scheme, ""),
            (tr("Opacity of masks"), self.opacity, tr("Of the colour over an object")),
            (
                tr("Width of outlines"),
                self.outline_px,
                tr("On either side of an edge, in pixels of the window"),
            ),
            (
                tr("Opacity of outlines"),
                self.outline_opacity,
                tr("Of the current object's; the others' are fainter"),
            ),
            (
                tr("Preview of clicks"),
                self.previews,
                tr(
                    "Where the pointer rests: a new object in its colour, green for what is added "
                    "to one, red for what is removed. Not while tracking or learning runs, and "
                    "not with click models that search for their answer, as f-BRS does: that "
                    "takes seconds."
                ),
            ),
        )

    def _runs(self) -> tuple[_Row, ...]:
        preferences = self._preferences
        self.at_cut = self._choice(
            {"pause": tr("Pause and ask"), "stop": tr("Stop"), "go_on": tr("Track on")},
            preferences.at_cut,
            "at_cut",
        )
        self.brakes = self._check(
            tr("Pause"), preferences.pauses_at_wrong_masks, "pauses_at_wrong_masks"
        )
        return (
            (
                tr("At a cut"),
                self.at_cut,
                tr("What a run does before the first frame of another shot"),
            ),
            (
                tr("When a mask goes wrong"),
                self.brakes,
                tr(
                    "A run pauses at the frame where a mask collapses, explodes or jumps to "
                    "another thing, and says so; Space tracks on"
                ),
            ),
        )

    def _machine(self) -> tuple[_Row, ...]:
        preferences = self._preferences
        sizes_px = sorted({*_SIZES_PX, preferences.internal_size_px})
        self.device = self._device()
        self.internal_size = self._choice(
            {size_px: tr("{size_px} pixels", size_px=size_px) for size_px in sizes_px},
            preferences.internal_size_px,
            "internal_size_px",
        )
        self.memorize_every = self._number(
            1, 100, tr(" frames"), preferences.memorize_every, self._setter("memorize_every")
        )
        self.cache = self._number(
            64,
            65_536,
            " MiB",
            preferences.cache_bytes // _MIB,
            lambda mib: setattr(preferences, "cache_bytes", mib * _MIB),
        )
        self.cache.setSingleStep(64)
        return (
            (tr("Device"), self.device, tr("Where the networks run")),
            (
                tr("Tracking size"),
                self.internal_size,
                tr("Shorter side at which the tracker works: smaller is faster, less exact"),
            ),
            (
                tr("Memorise every"),
                self.memorize_every,
                tr(
                    "Fewer frames between: follows changes better, takes more time. A project with "
                    "limits of its own, see the Memory panel, keeps them."
                ),
            ),
            (tr("Memory for frames"), self.cache, tr("Decoded frames kept at hand")),
        )

    def _device(self) -> QComboBox:
        titles = {
            "auto": tr("The best there is"),
            "cuda": tr("Graphics card (CUDA)"),
            "mps": tr("Apple GPU (MPS)"),
            "cpu": tr("Processor (CPU)"),
        }
        texts = {value: f"{value} — {title}" for value, title in titles.items()}
        device = self._preferences.device
        box = self._choice({**texts, device: texts.get(device, device)}, device, "")
        box.setEditable(True)  # "cuda:1"
        box.currentTextChanged.connect(self._set_device)
        return box

    def _set_device(self, text: str) -> None:
        self._preferences.device = text.split(" — ")[0].strip() or "auto"

    def _setter(self, name: str) -> Callable[[object], None]:
        """Sets the preference of this name."""
        return lambda value: setattr(self._preferences, name, value)

    def _choice(self, titles: Mapping[T, str], current: object, name: str) -> QComboBox:
        """titles: by value. name: of the preference; none is set for an empty one."""
        box = QComboBox(self)
        for value, title in titles.items():
            box.addItem(title, value)
        box.setCurrentIndex(max(0, box.findData(current)))
        if name:
            choose = self._setter(name)
            box.currentIndexChanged.connect(lambda: choose(box.currentData()))
        return box

    def _check(self, text: str, is_on: bool, name: str) -> QCheckBox:
        box = QCheckBox(text, self)
        box.setChecked(is_on)
        box.toggled.connect(self._setter(name))
        return box

    def _number(
        self, least: int, most: int, unit: str, value: int, on_change: Callable[[int], None]
    ) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(least, most)
        box.setSuffix(unit)
        box.setValue(value)
        box.valueChanged.connect(on_change)
        return box

    def _percent(self, share: float, name: str) -> QSpinBox:
        choose = self._setter(name)
        value = round(100 * share)
        box = self._number(0, 100, tr(" %"), value, lambda percent: choose(percent / 100))
        box.setSingleStep(5)
        return box
