"""What belongs to the person: language, looks, engine, memory for frames."""

from collections.abc import Mapping
from functools import partial
from typing import Final, TypeVar

from PySide6.QtWidgets import QCheckBox, QComboBox, QDialogButtonBox, QFormLayout, QSpinBox, QWidget

from gui.actions.actions import Actions
from gui.dialogs.commands import ShortcutsDialog
from gui.dialogs.dialog import Dialog
from gui.language import SYSTEM, languages, tr
from gui.preferences import Preferences
from gui.theme import combo, guard_wheel, remark
from gui.work.document import WIDEST_OUTLINE_PX

__all__ = ["PreferencesDialog"]

_SIZES_PX: Final = (240, 360, 480, 600, 720, 1080)
_MIB: Final = 2**20

T = TypeVar("T")


class PreferencesDialog(Dialog):
    def __init__(
        self, preferences: Preferences, actions: Actions, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Preferences"), parent)
        self.setMinimumWidth(460)
        self._preferences = preferences
        self._form = QFormLayout()
        self._add_looks()
        self._add_runs()
        self._add_machine()
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
        self.lay_out(self._form, note, 1)

    def _add_looks(self) -> None:
        self.language = self._choice("language", {SYSTEM: tr("As the system"), **languages()})
        self._add(tr("Language"), self.language, tr("Holds from the next start on"))
        schemes = {"system": tr("As the system"), "light": tr("Light"), "dark": tr("Dark")}
        self.scheme = self._choice("scheme", schemes)
        self._add(tr("Colours"), self.scheme, "")
        self.opacity = self._percent("opacity")
        self._add(tr("Opacity of masks"), self.opacity, tr("Of the colour over an object"))
        self.outline_px = self._number("outline_px", 1, WIDEST_OUTLINE_PX, tr(" px"))
        tip = tr("On either side of an edge, in pixels of the window")
        self._add(tr("Width of outlines"), self.outline_px, tip)
        self.outline_opacity = self._percent("outline_opacity")
        tip = tr("Of the current object's; the others' are fainter")
        self._add(tr("Opacity of outlines"), self.outline_opacity, tip)
        self.previews = self._check("has_previews", tr("Show what a click would do"))
        tip = tr(
            "Where the pointer rests: a new object in its colour, green for what is added "
            "to one, red for what is removed. Not while tracking or learning runs, and "
            "not with click models that search for their answer, as f-BRS does: that "
            "takes seconds."
        )
        self._add(tr("Preview of clicks"), self.previews, tip)

    def _add_runs(self) -> None:
        ways = {"pause": tr("Pause and ask"), "stop": tr("Stop"), "go_on": tr("Track on")}
        self.at_cut = self._choice("at_cut", ways)
        tip = tr("What a run does before the first frame of another shot")
        self._add(tr("At a cut"), self.at_cut, tip)
        self.brakes = self._check("pauses_at_wrong_masks", tr("Pause"))
        tip = tr(
            "A run pauses at the frame where a mask collapses, explodes or jumps to "
            "another thing, and says so; Space tracks on"
        )
        self._add(tr("When a mask goes wrong"), self.brakes, tip)

    def _add_machine(self) -> None:
        preferences = self._preferences
        self.device = self._device()
        self._add(tr("Device"), self.device, tr("Where the networks run"))
        sizes_px = sorted({*_SIZES_PX, preferences.internal_size_px})
        self.internal_size = self._choice(
            "internal_size_px",
            {size_px: tr("{size_px} pixels", size_px=size_px) for size_px in sizes_px},
        )
        tip = tr("Shorter side at which the tracker works: smaller is faster, less exact")
        self._add(tr("Tracking size"), self.internal_size, tip)
        self.memorize_every = self._number("memorize_every", 1, 100, tr(" frames"))
        tip = tr(
            "Fewer frames between: follows changes better, takes more time. A project with "
            "limits of its own, see the Memory panel, keeps them."
        )
        self._add(tr("Memorise every"), self.memorize_every, tip)
        self.cache = self._spin(64, 65_536, " MiB", preferences.cache_bytes // _MIB)
        self.cache.valueChanged.connect(lambda mib: setattr(preferences, "cache_bytes", mib * _MIB))
        self.cache.setSingleStep(64)
        self._add(tr("Memory for frames"), self.cache, tr("Decoded frames kept at hand"))

    def _add(self, title: str, field: QWidget, tip: str) -> None:
        guard_wheel(field)
        field.setToolTip(tip)
        field.setAccessibleName(title)
        field.setAccessibleDescription(tip)
        self._form.addRow(title, field)

    def _device(self) -> QComboBox:
        titles = {
            "auto": tr("The best there is"),
            "cuda": tr("Graphics card (CUDA)"),
            "mps": tr("Apple GPU (MPS)"),
            "cpu": tr("Processor (CPU)"),
        }
        texts = {value: f"{value} — {title}" for value, title in titles.items()}
        device = self._preferences.device
        box = combo({**texts, device: texts.get(device, device)}, self)
        box.setCurrentIndex(box.findData(device))
        box.setEditable(True)  # "cuda:1"
        box.currentTextChanged.connect(self._set_device)
        return box

    def _set_device(self, text: str) -> None:
        self._preferences.device = text.split(" — ")[0].strip() or "auto"

    # Controls of the preference `name`

    def _set(self, name: str, value: object) -> None:
        setattr(self._preferences, name, value)

    def _choice(self, name: str, titles: Mapping[T, str]) -> QComboBox:
        """titles: by value."""
        box = combo(titles, self)
        box.setCurrentIndex(max(0, box.findData(getattr(self._preferences, name))))
        box.currentIndexChanged.connect(lambda: self._set(name, box.currentData()))
        return box

    def _check(self, name: str, text: str) -> QCheckBox:
        box = QCheckBox(text, self)
        box.setChecked(getattr(self._preferences, name))
        box.toggled.connect(partial(self._set, name))
        return box

    def _number(self, name: str, least: int, most: int, unit: str) -> QSpinBox:
        box = self._spin(least, most, unit, getattr(self._preferences, name))
        box.valueChanged.connect(partial(self._set, name))
        return box

    def _percent(self, name: str) -> QSpinBox:
        box = self._spin(0, 100, tr(" %"), round(100 * getattr(self._preferences, name)))
        box.valueChanged.connect(lambda percent: self._set(name, percent / 100))
        box.setSingleStep(5)
        return box

    def _spin(self, least: int, most: int, unit: str, value: int) -> QSpinBox:
        return QSpinBox(self, minimum=least, maximum=most, suffix=unit, value=value)
