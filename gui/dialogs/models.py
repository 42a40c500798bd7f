"""The networks' weights: which there are, which are here, fetching more, choosing."""

from collections.abc import Generator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Final

from PySide6.QtCore import QLocale, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QFileDialog,
    QHeaderView,
    QLabel,
    QProgressBar,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from gui.dialogs.dialog import Dialog
from gui.language import tr
from gui.preferences import Preferences
from gui.theme import named
from gui.work.operations import EngineThread, Kind, Operation
from interaction.doctor import machine
from interaction.downloads import DownloadProgress
from interaction.models import (
    BrokenPlugin,
    Model,
    ModelNeeds,
    ModelStore,
    default_store,
)
from xmem_core.messages import Message

__all__ = ["ModelsDialog", "needs_text", "stronger_tracker"]

_FILE, _MEMORY, _TIME = 3, 4, 5  # columns
_NameRole: Final = Qt.ItemDataRole.UserRole
_ProblemRole: Final = Qt.ItemDataRole.UserRole + 1
_BYTES_A_NUMBER: Final = 4


class ModelsDialog(Dialog):
    """Nothing is fetched unless it is asked for; an interrupted download goes on next time."""

    def __init__(
        self,
        preferences: Preferences,
        parent: QWidget | None = None,
        *,
        store: ModelStore | None = None,
    ) -> None:
        no_buttons = QDialogButtonBox.StandardButton.NoButton
        super().__init__(tr("Models"), parent, QSize(1000, 520), no_buttons)
        self._preferences = preferences
        self._store = store or default_store()
        self._thread: EngineThread | None = None
        self._download: Operation | None = None
        self._used_after = ""  # the model that is used once it has been downloaded

        self._make_table()
        self.about = QLabel(self)
        self.about.setWordWrap(True)
        self.about.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.about.setMinimumHeight(5 * self.fontMetrics().lineSpacing())
        self.status = QLabel(self)
        self.status.setWordWrap(True)
        self.bar = named(QProgressBar(self), tr("Download"))
        self.bar.hide()

        self.use_button = self.add_button(tr("Use"), self.use)
        self.download_button = self.add_button(tr("Download"), self.download)
        self.file_button = self.add_button(tr("Use a file…"), self._ask_file)
        self.close_button = self.buttons.addButton(QDialogButtonBox.StandardButton.Close)
        self.lay_out(self.table, self.about, self.status, self.bar)
        self.refresh()

    def _make_table(self) -> None:
        self.table = QTreeWidget(self)
        self.table.setRootIsDecorated(False)
        self.table.setAccessibleName(self.windowTitle())
        numbers = [tr("File"), tr("Memory"), tr("Time")]
        self.table.setHeaderLabels([tr("Model"), tr("For"), tr("Here"), *numbers, tr("Licence")])
        header = self.table.headerItem()
        header.setToolTip(_FILE, tr("Size of the file"))
        header.setToolTip(_MEMORY, tr("While it works on a processor, measured"))
        header.setToolTip(_TIME, tr("Of one processor core, measured"))
        self.table.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.header().setStretchLastSection(True)
        self.table.setItemDelegate(_Roomy(self.table))
        self.table.currentItemChanged.connect(self._update)

    def refresh(self) -> None:
        """Shows what is here now."""
        chosen = self.current_name()
        self.table.clear()
        for model in self._store.available():
            path = self._store.locate(model)
            size_bytes = path.stat().st_size if path else model.size_bytes
            item = QTreeWidgetItem(
                [
                    model.name,
                    _use(model.kind),
                    self._here(model, path),
                    self._size(model, size_bytes),
                    "" if model.needs is None else _size_of(model.needs.cpu_memory_bytes),
                    "" if model.needs is None else self._time(model, model.needs),
                    model.licence,
                ]
            )
            item.setData(0, _NameRole, model.name)
            self.table.addTopLevelItem(item)
            if model.name == chosen:
                self.table.setCurrentItem(item)
        for plugin in self._store.broken:
            item = QTreeWidgetItem([plugin.name, tr("plug-in"), tr("cannot be used")])
            item.setData(0, _ProblemRole, plugin)
            self.table.addTopLevelItem(item)
        first = self.table.topLevelItem(0)
        if self.table.currentItem() is None and first is not None:
            self.table.setCurrentItem(first)
        self._update()

    def _here(self, model: Model, path: Path | None) -> str:
        here = tr("no")
        if model.missing_packages:
            here = tr("needs a package")
        elif path is not None:
            here = tr("bundled") if model.is_bundled else tr("downloaded")
            if not (model.is_bundled or model.has_checksum or model.hub):
                here = tr("downloaded, not verified")
        is_used = getattr(self._preferences, f"{model.kind}_model") == model.name
        return tr("{here}, in use", here=here) if is_used else here

    def current_name(self) -> str | None:
        item = self.table.currentItem()
        return None if item is None else item.data(0, _NameRole)

    def choose(self, name: str) -> None:
        for item in self.table.findItems(name, Qt.MatchFlag.MatchExactly):
            self.table.setCurrentItem(item)

    def fetch(self, name: str) -> None:
        """Download a model and use it then."""
        self.choose(name)
        self._used_after = name
        self.download()

    def use(self) -> None:
        """The chosen model, from the next click or propagation on."""
        model = self._current()
        if model is not None:
            self._set_model(model.kind, model.name)
            self.refresh()

    def download(self) -> None:
        model = self._current()
        if model is None or self._download is not None:
            return
        if self._thread is None:
            self._thread = EngineThread("download", self)
        name = model.name

        def steps() -> Generator[DownloadProgress, None, object]:
            return self._store.download(name)

        self.bar.setRange(0, 0)
        self.bar.show()
        self.status.setText(tr("Downloading {name}…", name=name))
        self._download = Operation(Kind.BACKGROUND, steps, self._show_progress, self._end)
        self._thread.start(self._download)
        self._update()

    def reject(self) -> None:
        if self._download is not None:
            self._download.cancel()
            return
        super().reject()

    def done(self, result: int) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        super().done(result)

    def _show_progress(self, step: DownloadProgress) -> None:
        total = step.total_bytes or 0
        # Kibibytes: a bar counts in 32 bits.
        self.bar.setRange(0, total // 1024)
        self.bar.setValue(step.done_bytes // 1024)

    def _end(self, error: Exception | None) -> None:
        self._download = None
        self.bar.hide()
        if isinstance(error, CancelledError):
            self.status.setText(tr("Stopped. What has arrived is kept for next time."))
        elif error is not None:
            self.status.setText(tr(str(error)))
        elif self._used_after and self.current_name() == self._used_after:
            self.use()
            self.status.setText(tr("Done: {name} is used from now on.", name=self._used_after))
        else:
            self.status.setText(tr("Done."))
        self._used_after = ""
        self.refresh()

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self,
            tr("Weights"),
            self._preferences.last_folder,
            tr("Weights") + " (*.pth *.pt *.safetensors)",
        )
        if path:
            self.use_file(Path(path))

    def use_file(self, path: Path) -> None:
        """From now on these weights do what the chosen model does, if they are weights at all."""
        from xmem_core.weights import CheckpointFileError, check_weights

        model = self._current()
        if model is None:
            return
        try:
            check_weights(path)
        except CheckpointFileError as error:
            self.status.setText(
                tr(
                    "“{name}” cannot be used: {reason}. Nothing was changed.\n\n"
                    "Choose a file of weights: .pth, .pt or .safetensors.",
                    name=path.name,
                    reason=error,
                )
            )
            return
        self._set_model(model.kind, str(path))
        self.status.setText(
            tr("{path} is used for {purpose} from now on.", path=path, purpose=_use(model.kind))
        )
        self.refresh()

    def _set_model(self, kind: str, model: str) -> None:
        setattr(self._preferences, f"{kind}_model", model)

    def _current(self) -> Model | None:
        name = self.current_name()
        return next((one for one in self._store.available() if one.name == name), None)

    def _update(self) -> None:
        model, is_idle = self._current(), self._download is None
        is_usable = model is not None and not model.missing_packages
        is_here = model is not None and self._store.locate(model) is not None
        self.use_button.setEnabled(is_idle and is_usable and is_here)
        self.download_button.setEnabled(is_idle and is_usable and not is_here)
        self.file_button.setEnabled(is_idle and model is not None)
        item = self.table.currentItem()
        broken: BrokenPlugin | None = None if item is None else item.data(0, _ProblemRole)
        about = "" if model is None else self._about(model)
        if broken is not None:
            about = tr(
                "The plug-in “{name}” of {package} is left out: {problem}.",
                name=broken.name,
                package=broken.package,
                problem=broken.problem,
            )
        self.about.setText(about)
        self.close_button.setText(tr("Close") if is_idle else tr("Cancel"))

    def _time(self, model: Model, needs: ModelNeeds) -> str:
        text = {
            "tracker": Message("{seconds:.2g} s a frame"),
            "click": Message("{seconds:.2g} s a click"),
        }.get(model.kind, Message("{seconds:.2g} s a stroke"))
        return tr(text, seconds=float(needs.cpu_seconds))

    def _about(self, model: Model) -> str:
        """What it does and what it needs, in full."""
        lines = [tr(model.description)]
        if model.missing_packages:
            lines.append(
                tr(
                    "Not installed: {packages}. Install with:  {command}",
                    packages=", ".join(model.missing_packages),
                    command=model.install,
                )
            )
        if model.address is not None and self._store.locate(model) is None:
            lines.append(
                tr(
                    "Downloaded only if you ask for it, from {address} ({size}).",
                    address=model.address,
                    size=self._size(model, model.size_bytes) or tr("unknown size"),
                )
            )
        needs = model.needs
        if needs is not None:
            lines.append(
                tr(
                    "On one core of a processor: {time}, {size} of memory.",
                    time=self._time(model, needs),
                    size=_size_of(needs.cpu_memory_bytes),
                )
                + f" {tr(needs.note)}"
            )
            rate = needs.published_gpu_per_second
            lines.append(
                tr("On a GPU: not measured.")
                if rate is None
                else tr(
                    "Published, on a GPU: {rate} frames/s.", rate=QLocale().toString(rate, "f", 1)
                )
            )
        else:
            lines.append(tr("Memory and time: not measured."))
        lines.append(
            tr(
                "Runs on a processor (CPU), an NVIDIA GPU (CUDA) or an Apple GPU (MPS), as chosen "
                "in the preferences."
            )
        )
        if model.hub is not None:
            lines.append(
                tr("Kept in the cache of the Hugging Face hub, with the checksum it states.")
            )
        elif not model.has_checksum:
            lines.append(
                tr(
                    "Not verified against a published checksum: its publisher states none. Size, "
                    "names and shapes are compared with those of the published file."
                )
            )
        return "\n".join(lines)

    def _size(self, model: Model, size_bytes: int | None) -> str:
        if size_bytes:
            return _size_of(size_bytes)
        if model.parameters:
            return tr("about {size}", size=_size_of(model.parameters * _BYTES_A_NUMBER))
        return ""


class _Roomy(QStyledItemDelegate):
    """Leaves room between columns and between rows."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return super().sizeHint(option, index) + QSize(12, 8)


def _use(kind: str) -> str:
    return {"tracker": tr("tracking"), "click": tr("clicks")}.get(kind, tr("scribbles"))


def _size_of(size_bytes: int) -> str:
    return QLocale().formattedDataSize(size_bytes, 1, QLocale.DataSizeFormat.DataSizeSIFormat)


def stronger_tracker(store: ModelStore, name: str) -> Model | None:
    """The first tracker to try that did not come with the program, where `name` did."""
    known = {model.name: model for model in store.available()}
    if name not in known or not known[name].is_bundled:
        return None
    others = (m for m in known.values() if m.kind == "tracker" and not m.is_bundled)
    return next((model for model in others if not model.missing_packages), None)


def needs_text(model: Model) -> str:
    """Size, licence, what a tracker needs, and whether this machine has it."""
    needs = model.needs
    text = tr(
        "{name}: {size}, licence {licence}.",
        name=model.name,
        size=tr(model.size_text) or tr("unknown size"),
        licence=model.licence,
    )
    if needs is None:
        return text
    gpu, free_bytes = machine()
    text += " " + tr(
        "It needs {size} of memory and is best on a GPU.", size=_size_of(needs.cpu_memory_bytes)
    )
    if gpu:
        return text + " " + tr("This machine has one: {gpu}.", gpu=gpu)
    seconds = tr("{seconds:.2g} s a frame", seconds=float(needs.cpu_seconds))
    if free_bytes < needs.cpu_memory_bytes:
        enough = tr("This machine has no GPU and only {free} free.", free=_size_of(free_bytes))
    else:
        enough = tr(
            "This machine has {free} free and no GPU: about {seconds} on one core.",
            free=_size_of(free_bytes),
            seconds=seconds,
        )
    return f"{text} {enough}"
