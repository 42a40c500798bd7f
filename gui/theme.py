"""Application style, light and dark palettes, icons, and what looks alike everywhere."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, TypeVar

from PySide6.QtCore import QByteArray, QEvent, QObject, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QImage,
    QPainter,
    QPalette,
    QPen,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QComboBox,
    QLabel,
    QLayout,
    QProxyStyle,
    QStyle,
    QStyleOption,
    QToolButton,
    QWidget,
)

from resources import icons_folder

__all__ = [
    "ACCENT",
    "ICON_PX",
    "UNLIMITED_PX",
    "Part",
    "Scheme",
    "Style",
    "apply_theme",
    "combo",
    "draw_inside",
    "flat_button",
    "guard_wheel",
    "heading",
    "icon",
    "is_dark",
    "lay_out",
    "menu_text",
    "named",
    "remark",
    "set_scheme",
]

T = TypeVar("T")
W = TypeVar("W", bound=QWidget)
Part = QWidget | QLayout | int | tuple[QWidget | QLayout, int]  # of a layout, see `lay_out`

_CORNER_PX = 2.0
_CHECKS = (
    QStyle.PrimitiveElement.PE_IndicatorCheckBox,
    QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck,
)


class Style(QProxyStyle):
    """Fusion derives outlines from the window's colour; of a dark one they are darker still."""

    def __init__(self) -> None:
        super().__init__("Fusion")

    def drawPrimitive(
        self,
        element: QStyle.PrimitiveElement,
        option: QStyleOption,
        painter: QPainter,
        widget: QWidget | None = None,
    ) -> None:
        super().drawPrimitive(element, option, painter, widget)
        if element not in _CHECKS:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(option.palette.color(QPalette.ColorRole.PlaceholderText), 1))
        frame = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, _CORNER_PX, _CORNER_PX)
        painter.restore()


Scheme = Literal["system", "light", "dark"]

ICON_PX: Final = 20
UNLIMITED_PX: Final = 2**24 - 1  # Qt's own largest size of a widget, which PySide6 leaves out
TEXT_PX: Final = 13
ACCENT: Final = QColor(0x2F, 0x81, 0xF7)

# Greys without a tint: colours beside the picture must not change how it looks.
_COLORS: Final = {  # dark, light
    QPalette.ColorRole.Window: (0x2B2B2B, 0xF0F0F0),
    QPalette.ColorRole.WindowText: (0xE4E4E4, 0x1E1E1E),
    QPalette.ColorRole.Base: (0x222222, 0xFFFFFF),
    QPalette.ColorRole.AlternateBase: (0x282828, 0xF6F6F6),
    QPalette.ColorRole.Text: (0xE4E4E4, 0x1E1E1E),
    QPalette.ColorRole.Button: (0x363636, 0xE6E6E6),
    QPalette.ColorRole.ButtonText: (0xE4E4E4, 0x1E1E1E),
    QPalette.ColorRole.ToolTipBase: (0x3A3A3A, 0xFFFFFF),
    QPalette.ColorRole.ToolTipText: (0xF0F0F0, 0x1E1E1E),
    QPalette.ColorRole.PlaceholderText: (0x8C8C8C, 0x767676),
    QPalette.ColorRole.Mid: (0x1C1C1C, 0xB8B8B8),
    QPalette.ColorRole.Midlight: (0x444444, 0xDCDCDC),
    QPalette.ColorRole.Light: (0x4A4A4A, 0xFFFFFF),
    QPalette.ColorRole.Dark: (0x1A1A1A, 0x9A9A9A),
    QPalette.ColorRole.Shadow: (0x101010, 0x6E6E6E),
    QPalette.ColorRole.Link: (0x6CB0FF, 0x0B5CC4),
}
_DISABLED_ROLES: Final = (
    QPalette.ColorRole.WindowText,
    QPalette.ColorRole.Text,
    QPalette.ColorRole.ButtonText,
)


def apply_theme(application: QApplication) -> None:
    """Sets style, font size and colours, and follows the system from then on."""
    application.setStyle(Style())
    font = application.font()
    font.setPixelSize(TEXT_PX)
    font.setFeature(QFont.Tag("tnum"), 1)  # figures that do not dance while they count
    application.setFont(font)
    _set_palette(application)
    application.styleHints().colorSchemeChanged.connect(lambda _: _set_palette(application))


_chosen: list[Scheme] = ["system"]  # some platforms ignore `setColorScheme`


def set_scheme(scheme: Scheme) -> None:
    """Light, dark, or whatever the system is."""
    _chosen[0] = scheme
    QGuiApplication.styleHints().setColorScheme(
        {
            "system": Qt.ColorScheme.Unknown,
            "light": Qt.ColorScheme.Light,
            "dark": Qt.ColorScheme.Dark,
        }[scheme]
    )
    application = QApplication.instance()
    if isinstance(application, QApplication):
        _set_palette(application)


def is_dark() -> bool:
    if _chosen[0] != "system":
        return _chosen[0] == "dark"
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark


def icon(name: str) -> QIcon:
    """The icon `resources/icons/NAME.svg` in the colour of the text around it, in any scheme and
    size. ValueError if there is none."""
    return QIcon(_SvgIconEngine(_source(name)))


def _set_palette(application: QApplication) -> None:
    palette = QPalette()
    for role, (dark, light) in _COLORS.items():
        palette.setColor(role, QColor(dark if is_dark() else light))
    faint = QColor(0x757575 if is_dark() else 0x9A9A9A)
    for role in _DISABLED_ROLES:
        palette.setColor(QPalette.ColorGroup.Disabled, role, faint)
    palette.setColor(QPalette.ColorRole.Highlight, ACCENT)
    palette.setColor(QPalette.ColorRole.HighlightedText, QColor("white"))
    palette.setColor(QPalette.ColorRole.Accent, ACCENT)
    application.setPalette(palette)


@lru_cache(maxsize=256)
def _source(name: str) -> str:
    path = icons_folder() / f"{name}.svg"
    if not path.is_file():
        raise ValueError(f"there is no icon called {name}")
    return path.read_text("utf-8")


@lru_cache(maxsize=1024)
def _renderer(source: str, color: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray(source.replace("currentColor", color).encode()))


class _SvgIconEngine(QIconEngine):
    """Draws an SVG in the palette's colour of the moment, so that a change of scheme shows."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._svg = source

    def clone(self) -> QIconEngine:
        return _SvgIconEngine(self._svg)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        palette = QGuiApplication.palette()
        group = QPalette.ColorGroup.Active
        role = QPalette.ColorRole.ButtonText
        if mode == QIcon.Mode.Disabled:
            group = QPalette.ColorGroup.Disabled
        elif mode == QIcon.Mode.Selected:
            role = QPalette.ColorRole.HighlightedText
        color = palette.color(group, role).name()
        side = min(rect.width(), rect.height())  # in a wider place it stands in the middle
        square = QRectF(0, 0, side, side)
        square.moveCenter(QRectF(rect).center())
        _renderer(self._svg, color).render(painter, square)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, pixmap.rect(), mode, state)
        painter.end()
        return pixmap


def heading(text: str, parent: QWidget) -> QLabel:
    """A label in bold."""
    label = QLabel(text, parent)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def remark(text: str, parent: QWidget, *, wraps: bool = True) -> QLabel:
    """A label in grey. wraps: in as many lines as it needs."""
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)  # names may look like HTML
    label.setWordWrap(wraps)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def menu_text(text: str) -> str:
    """For an entry of a menu: an “&” in a name marks no key there."""
    return text.replace("&", "&&")


def combo(titles: Mapping[T, str], parent: QWidget) -> QComboBox:
    """A list to choose from. titles: by value."""
    box = QComboBox(parent)
    for value, title in titles.items():
        box.addItem(title, value)
    return box


def flat_button(picture: str, size_px: int, parent: QWidget) -> QToolButton:
    """A button that is nothing but an icon of that size, until the pointer is over it."""
    button = QToolButton(parent)
    button.setIcon(icon(picture))
    button.setIconSize(QSize(size_px, size_px))
    button.setAutoRaise(True)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def named(widget: W, name: str, tip: str = "") -> W:
    """The widget, with a name for screen readers."""
    widget.setAccessibleName(name)
    widget.setToolTip(tip)
    return widget


def lay_out(
    layout: QBoxLayout,
    *parts: Part,
    spacing: int = -1,
    margins: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> None:
    """Parts in their order; with a number, the part takes that share of further room, and a number
    alone stays empty. margins: left, top, right, bottom. These and spacing: in pixels, -1 is the
    style's."""
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    for part in parts:
        item, share = part if isinstance(part, tuple) else (part, 0)
        if isinstance(item, QWidget):
            layout.addWidget(item, share)
        elif isinstance(item, QLayout):
            layout.addLayout(item, share)
        else:
            layout.addStretch(item)


def draw_inside(painter: QPainter, image: QImage, room: QRect) -> None:
    """In its own shape, as large as it fits, in the middle."""
    size = image.size().scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
    place = QRect(0, 0, size.width(), size.height())
    place.moveCenter(room.center())
    painter.drawImage(place, image)


class _WheelGuard(QObject):
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()  # it goes on to the widget behind
            return True
        return False


def guard_wheel(*widgets: QWidget) -> None:
    """From now on the wheel turns them only while they have the focus, which it does not give."""
    for widget in widgets:
        if widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
            widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(_WheelGuard(widget))
