"""The about dialog and the log viewer."""

import platform
import sys
from html import escape
from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import QSize, QUrl
from PySide6.QtGui import QDesktopServices, QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QTabWidget, QTextBrowser, QWidget

from gui.dialogs.dialog import Dialog
from gui.errors import last_lines, log_file
from gui.language import tr
from gui.theme import named
from interaction.doctor import package_versions
from resources import icons_folder, sample_folder

__all__ = ["AboutDialog", "LogDialog"]

_LINES = 2000


class LogDialog(Dialog):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Log"), parent, QSize(820, 520))
        self.text = named(QPlainTextEdit(self), tr("Log"))
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        lines = last_lines(_LINES)
        self.text.setPlainText("".join(lines) or tr("The log is empty."))
        self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())
        self.add_button(
            tr("Copy report"), lambda: QGuiApplication.clipboard().setText(self.report())
        )
        folder = QUrl.fromLocalFile(str(log_file().parent))
        self.add_button(tr("Show file"), lambda: QDesktopServices.openUrl(folder))
        self.lay_out(self.text)

    def report(self) -> str:
        """Versions, system, and the log."""
        head = [*package_versions(), f"Python {sys.version.split()[0]}", platform.platform(), ""]
        return "\n".join(head) + "\n" + self.text.toPlainText()


def _credits() -> list[tuple[str, str, str]]:
    """What, by whom, licence."""
    return [
        ("XMem", "Cheng and Schwing, ECCV 2022 (arXiv 2207.07115)", tr("method; code is our own")),
        ("f-BRS", "Sofiiuk et al., CVPR 2020 (arXiv 2001.10331)", tr("method; code is our own")),
        ("MiVOS, Scribble-to-Mask", "Cheng et al., CVPR 2021", tr("method; code is our own")),
        ("EfficientNet-Lite0", "Tan and Le; ImageNet weights", "Apache-2.0"),
        ("Qt, PySide6", "The Qt Company", "LGPL-3.0"),
        ("PyTorch, torchvision", "PyTorch contributors", "BSD-3-Clause"),
        ("FFmpeg, PyAV", "FFmpeg and PyAV contributors", "LGPL-2.1, BSD-3-Clause"),
        ("OpenCV", "OpenCV contributors", "Apache-2.0"),
        ("NumPy, SciPy, Pillow", tr("their contributors"), "BSD-3-Clause, MIT-CMU"),
        ("Lucide", "Lucide contributors", "ISC"),
        ("Big Buck Bunny", "Blender Foundation", "CC BY 3.0"),
    ]


class AboutDialog(Dialog):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("About xmem-annotate"), parent, QSize(620, 480))
        tabs = QTabWidget(self)
        try:
            number = version("xmem-annotate")
        except PackageNotFoundError:
            number = ""
        about = tr(
            "<h2>xmem-annotate {version}</h2><p>Cut masks out of video: click an object, follow it "
            "through the whole clip, correct what is wrong, export.</p><p>It works offline: "
            "nothing leaves this computer. The network is only used when you download a model.</p>"
            "<p>MIT licence.</p>",
            version=escape(number),
        )
        rows = "".join(
            "<tr>"
            + "".join(f"<td style='padding: 3px 12px 3px 0'>{escape(one)}</td>" for one in row)
            for row in _credits()
        )
        credits_page = f"<table>{rows}</table>"
        licences = "<h3>Lucide</h3><pre>" + escape((icons_folder() / "LICENSE").read_text("utf-8"))
        licences += "</pre><h3>Sample</h3><pre>"
        licences += escape((sample_folder() / "LICENSE.md").read_text("utf-8")) + "</pre>"
        for title, text in (
            (tr("About"), about),
            (tr("Credits"), credits_page),
            (tr("Licences"), licences),
        ):
            page = QTextBrowser(self)
            page.setOpenExternalLinks(True)
            page.setAccessibleName(title)
            page.setHtml(text)
            tabs.addTab(page, title)
        self.lay_out(tabs)
