"""The language of the window: `tr` puts a text into it, `set_language` chooses it."""

import gettext
import string
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from resources import languages_folder
from xmem_core.messages import Message

__all__ = ["SYSTEM", "language_in_use", "languages", "set_language", "tr", "use_catalogue"]

SYSTEM: Final = "system"
_SOURCE: Final = "en"  # the texts in the code

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def tr(text: str, plural: str | None = None, /, **values: Any) -> str:
    """The text in the window's language, with the values put into its format fields.

    text: in English, with named fields; without values it has none, and braces stay. plural: the
    text for any count but 1, which the value `count` then has to give. Or a `Message`, whose
    values may be messages, too.
    """
    if isinstance(text, Message) and not values:
        plural, values, text = text.plural, text.values, text.template
    if not text:
        return text
    if plural is None:
        found = _catalogue.gettext(text)
    else:
        found = _catalogue.ngettext(text, plural, values["count"])
    return _FORMATTER.vformat(found, (), values) if values else found


class _Formatter(string.Formatter):
    """Messages are translated; numbers that have decimals or groups get the language's signs."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Message):
            return format(str.__str__(tr(value)), format_spec)
        text = format(value, format_spec)
        if isinstance(value, float) or "," in format_spec:
            locale = QLocale()
            text = text.translate(
                {ord("."): locale.decimalPoint(), ord(","): locale.groupSeparator()}
            )
        return text


_FORMATTER: Final = _Formatter()


def languages() -> dict[str, str]:
    """What can be chosen: code -> the language's name in itself."""
    found = sorted(path.stem for path in languages_folder().glob("*.mo"))
    names = {code: QLocale(code).nativeLanguageName() for code in found}
    return {_SOURCE: "English", **names}  # Qt says "American English"


def language_in_use(chosen: str) -> str:
    """The code of the chosen language, or if that is "system" or not there, the first of the
    system's that there is; English if there is none."""
    known = languages()
    if chosen in known:
        return chosen
    wanted = (name.replace("_", "-").split("-")[0] for name in QLocale.system().uiLanguages())
    return next((code for code in wanted if code in known), _SOURCE)


def set_language(chosen: str) -> None:
    """From now on `tr`, Qt's own dialogs, and numbers and dates are in this language.

    chosen: a code of `languages`, or "system". Widgets that are there already keep their texts.
    """
    code = language_in_use(chosen)
    file = languages_folder() / f"{code}.mo"
    use_catalogue(gettext.NullTranslations() if code == _SOURCE else _read(file))
    system = QLocale.system()
    # The person's own country and formats, where the language is the system's.
    QLocale.setDefault(system if system.name().startswith(code) else QLocale(code))
    application = QCoreApplication.instance()
    if application is not None:
        _translate_qt(application, code)


def use_catalogue(catalogue: gettext.NullTranslations) -> None:
    """What `tr` looks texts up in; "system" and the person's choice are for `set_language`."""
    global _catalogue  # one per process, as Qt's translators are
    _catalogue = catalogue


def _read(file: Path) -> gettext.NullTranslations:
    with file.open("rb") as opened:
        return gettext.GNUTranslations(opened)


def _translate_qt(application: QCoreApplication, code: str) -> None:
    """Qt's own buttons and dialogs, as far as its translations are installed."""
    for old in application.findChildren(QTranslator):
        application.removeTranslator(old)
        old.deleteLater()
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if code != _SOURCE and translator.load(f"qtbase_{code}", folder):
        application.installTranslator(translator)
