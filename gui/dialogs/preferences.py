"""What belongs to the person: language, looks, engine, memory for frames."""

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.actions.actions import Actions
from gui.dialogs.shortcuts import ShortcutsDialog
from gui.language import SYSTEM, languages, tr
from gui.preferences import Preferences
from gui.theme import guard_wheel
from gui.work.document import WIDEST_OUTLINE_PX

__all__ = ["PreferencesDialog"]

_SIZES_PX: Final = (240, 360, 480, 600, 720, 1080)
_MIB: Final = 2**20


class PreferencesDialog(QDialog):
    def __init__(
        self, preferences: Preferences, actions: Actions, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Preferences"))
        self.setMinimumWidth(460)
        self._preferences = preferences

        self.scheme = QComboBox(self)
        for value, title in (
            ("system", tr("As the system")),
            ("light", tr("Light")),
            ("dark", tr("Dark")),
        ):
            self.scheme.addItem(title, value)
        self.scheme.setCurrentIndex(self.scheme.findData(preferences.scheme))
        self.scheme.currentIndexChanged.connect(self._set_scheme)

        self.language = QComboBox(self)
        self.language.addItem(tr("As the system"), SYSTEM)
        for code, name in languages().items():
            self.language.addItem(name, code)
        self.language.setCurrentIndex(max(0, self.language.findData(preferences.language)))
        self.language.currentIndexChanged.connect(self._set_language)

        self.opacity = self._percent(preferences.opacity, self._set_opacity)
        self.outline_px = QSpinBox(self)
        self.outline_px.setRange(1, WIDEST_OUTLINE_PX)
        self.outline_px.setSuffix(tr(" px"))
        self.outline_px.setValue(preferences.outline_px)
        self.outline_px.valueChanged.connect(self._set_outline_px)
        self.outline_opacity = self._percent(preferences.outline_opacity, self._set_outline_opacity)

        self.previews = QCheckBox(tr("Show what a click would do"), self)
        self.previews.setChecked(preferences.has_previews)
        self.previews.toggled.connect(self._set_previews)

        self.device = QComboBox(self)
        self.device.setEditable(True)  # "cuda:1"
        for value, title in (
            ("auto", tr("The best there is")),
            ("cuda", tr("Graphics card (CUDA)")),
            ("mps", tr("Apple GPU (MPS)")),
            ("cpu", tr("Processor (CPU)")),
        ):
            self.device.addItem(f"{value} — {title}", value)
        index = self.device.findData(preferences.device)
        if index < 0:
            self.device.addItem(preferences.device, preferences.device)
            index = self.device.count() - 1
        self.device.setCurrentIndex(index)
        self.device.currentTextChanged.connect(self._set_device)

        self.at_cut = QComboBox(self)
        for what, title in (
            ("pause", tr("Pause and ask")),
            ("stop", tr("Stop")),
            ("go_on", tr("Track on")),
        ):
            self.at_cut.addItem(title, what)
        self.at_cut.setCurrentIndex(self.at_cut.findData(preferences.at_cut))
        self.at_cut.currentIndexChanged.connect(
            lambda: setattr(preferences, "at_cut", self.at_cut.currentData())
        )
        self.brakes = QCheckBox(tr("Pause"), self)
        self.brakes.setChecked(preferences.pauses_at_wrong_masks)
        self.brakes.toggled.connect(
            lambda is_on: setattr(preferences, "pauses_at_wrong_masks", is_on)
        )

        self.internal_size = QComboBox(self)
        for size_px in sorted({*_SIZES_PX, preferences.internal_size_px}):
            self.internal_size.addItem(tr("{size_px} pixels", size_px=size_px), size_px)
        self.internal_size.setCurrentIndex(
            self.internal_size.findData(preferences.internal_size_px)
        )
        self.internal_size.currentIndexChanged.connect(self._set_internal_size)

        self.memorize_every = QSpinBox(self)
        self.memorize_every.setRange(1, 100)
        self.memorize_every.setSuffix(tr(" frames"))
        self.memorize_every.setValue(preferences.memorize_every)
        self.memorize_every.valueChanged.connect(self._set_memorize_every)

        self.cache = QSpinBox(self)
        self.cache.setRange(64, 65_536)
        self.cache.setSingleStep(64)
        self.cache.setSuffix(" MiB")
        self.cache.setValue(preferences.cache_bytes // _MIB)
        self.cache.valueChanged.connect(self._set_cache)

        form = QFormLayout()
        for title, field, tip in (
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
        ):
            guard_wheel(field)
            field.setToolTip(tip)
            field.setAccessibleName(title)
            field.setAccessibleDescription(tip)
            form.addRow(title, field)
        note = QLabel(
            tr(
                "Device, tracking size and memorising hold from the next propagation on; memory "
                "for frames from the next project on; the language from the next start on."
            ),
            self,
        )
        note.setWordWrap(True)
        note.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        self.keys = buttons.addButton(tr("Keys…"), QDialogButtonBox.ButtonRole.ActionRole)
        self.keys.setAutoDefault(False)
        buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        self.keys.setToolTip(tr("Change the keys of the commands"))
        self.keys.clicked.connect(lambda: ShortcutsDialog(actions, self).open())
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(note)
        column.addStretch(1)
        column.addWidget(buttons)

    def _percent(self, share: float, on_change: Callable[[int], None]) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(0, 100)
        box.setSingleStep(5)
        box.setSuffix(tr(" %"))
        box.setValue(round(100 * share))
        box.valueChanged.connect(on_change)
        return box

    def _set_opacity(self, percent: int) -> None:
        self._preferences.opacity = percent / 100

    def _set_outline_px(self, width_px: int) -> None:
        self._preferences.outline_px = width_px

    def _set_outline_opacity(self, percent: int) -> None:
        self._preferences.outline_opacity = percent / 100

    def _set_previews(self, is_on: bool) -> None:
        self._preferences.has_previews = is_on

    def _set_language(self) -> None:
        self._preferences.language = self.language.currentData()

    def _set_scheme(self) -> None:
        self._preferences.scheme = self.scheme.currentData()

    def _set_device(self, text: str) -> None:
        self._preferences.device = text.split(" — ")[0].strip() or "auto"

    def _set_internal_size(self) -> None:
        self._preferences.internal_size_px = self.internal_size.currentData()

    def _set_memorize_every(self, frames: int) -> None:
        self._preferences.memorize_every = frames

    def _set_cache(self, mib: int) -> None:
        self._preferences.cache_bytes = mib * _MIB
