"""The texts in the code, and the catalogues of their translations in `resources/languages`.

    python -m tests.catalogues          write every text of the code into every catalogue
    python -m tests.catalogues fr       begin a catalogue for another language

A text that is new is empty in the catalogue until it is translated; one that is gone is taken
out. `test_language.py` fails while a catalogue lacks one.
"""

import ast
import json
import re
import string
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from interaction import errors
from interaction.errors import UserError
from resources import languages_folder, models_file

ROOT: Final = Path(__file__).parent.parent
_ROOMS: Final = ("gui", "interaction", "xmem_core")
_CALLS: Final = ("tr", "Message", "UserError", "ModelError", "ProjectError")
_OF_QT: Final = ("self.tr", "QCoreApplication.translate")
_OF_SUPER: Final = ("super().__init__",)
# Errors that take a reason as a message; their own text is in their class.
_OF_MESSAGES: Final = {
    kind.__name__
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, UserError) and kind.__name__ not in _CALLS
} | {"CheckpointFileError", "DamagedValueError", "InvalidMaskError"}
_LETTERS: Final = re.compile("[^\\W\\d_]")
_FIELD: Final = re.compile(r"\{[^{}]*\}")
_WIDTH: Final = 100
_COMMENT: Final = "# Made by `python -m tests.catalogues`, which keeps what is translated."
_BEGUN: Final = datetime(2026, 11, 29, tzinfo=UTC)

Text = tuple[str, str | None]  # singular, and plural if it has one


def texts_in_code() -> dict[Text, str]:
    """Each text, and the first place that uses it as "file:line"."""
    found: dict[Text, str] = {}
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for line, text in texts_of(path.read_text(encoding="utf-8")):
                found.setdefault(text, f"{path.relative_to(ROOT).as_posix()}:{line}")
    for described in _texts_of_models():
        found.setdefault((described, None), "resources/models.json")
    return {
        text: place for text, place in found.items() if _LETTERS.search(_FIELD.sub("", text[0]))
    }


def texts_of(source: str) -> Iterator[tuple[int, Text]]:
    """The texts that `tr`, `Message` and errors are made of, and their lines."""
    for call in _calls(ast.parse(source)):
        singular, plural = _constant(call.args[0]), None
        if len(call.args) > 1:
            plural = _constant(call.args[1])
        if singular is not None:
            yield call.lineno, (singular, plural)


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def untranslatable(source: str) -> Iterator[tuple[int, str]]:
    """Calls whose text cannot be found before the program runs: put together, or an f-string; and
    calls of Qt's own translator."""
    tree = ast.parse(source)
    for call in _calls(tree):
        first = call.args[0]
        parts = [first.body, first.orelse] if isinstance(first, ast.IfExp) else []
        is_choice = any(isinstance(one, ast.Constant) for one in parts)
        # The texts of a `Message` that is chosen first are found where it is made.
        is_late = isinstance(first, ast.Name | ast.Subscript) and ast.unparse(call.func) != "tr"
        has_values = any(one.arg for one in call.keywords)
        if is_choice or isinstance(first, ast.JoinedStr | ast.BinOp) or (is_late and has_values):
            yield call.lineno, ast.unparse(call)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        is_error = _is_named(node.func, _OF_MESSAGES)
        if _is_one_of(node.func, _OF_QT) or (is_error and any(map(_is_plain_text, node.args))):
            yield node.lineno, ast.unparse(node)


def _is_named(node: ast.expr, names: Collection[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _is_one_of(node: ast.expr, names: Collection[str]) -> bool:
    """names: with a dot. Putting a name together is slow, so its last part is compared first."""
    is_possible = isinstance(node, ast.Attribute) and any(
        name.endswith(f".{node.attr}") for name in names
    )
    return is_possible and ast.unparse(node) in names


def _is_plain_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or " " in (_constant(node) or "")


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _is_named(node.func, _CALLS):
            yield node
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            for one in ast.walk(node):
                if isinstance(one, ast.Call) and _is_one_of(one.func, _OF_SUPER):
                    yield from [one] if one.args else []


def _texts_of_models() -> Iterator[str]:
    data = json.loads(models_file().read_text(encoding="utf-8"))
    for model in data["models"]:
        yield model["description"]
        note = model.get("needs", {}).get("note")
        if note:
            yield note


def problems(catalogue: Catalog, texts: dict[Text, str]) -> Iterator[str]:
    """What is wrong with a catalogue, a line each: what to do about it is one command."""
    known = {_ids(message): message for message in catalogue if message.id}
    for text, place in texts.items():
        message = known.pop(text, None)
        if message is None:
            yield f"{place}: {text[0]!r} is not in the catalogue: python -m tests.catalogues"
        elif not is_translated(message):
            yield f"{place}: {text[0]!r} is not translated"
        else:
            yield from (f"{place}: {one}" for one in _other_fields(text, message))
    for text in known:
        yield f"{text[0]!r} is used nowhere: python -m tests.catalogues"


def _ids(message: Message) -> Text:
    ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
    return ids[0], ids[1] if len(ids) > 1 else None


def _other_fields(text: Text, message: Message) -> Iterator[str]:
    """A plural form may leave values out, "one piece" for "{count} pieces"; none may add any."""
    singular, plural = text
    if not has_values(singular):
        return
    strings = (message.string,) if isinstance(message.string, str) else message.string or ()
    wanted = fields(singular) | fields(plural or "")
    for one in strings:
        if fields(one) - wanted or (plural is None and fields(one) != wanted):
            yield f"{one!r} has other format fields than {singular!r}"


def has_values(text: str) -> bool:
    """Whether braces in it are format fields and not just braces."""
    try:
        return bool(fields(text))
    except ValueError:
        return False


def fields(text: str) -> set[str]:
    """The names of a text's format fields, with how they are written: {"count:,"}."""
    return {
        f"{name}!{conversion}:{spec}"
        for _, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    }


def read_catalogue(code: str) -> Catalog:
    with (languages_folder() / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def updated(old: Catalog, texts: dict[Text, str]) -> Catalog:
    """The texts in alphabetical order, translated as in `old`."""
    new = Catalog(
        locale=old.locale,
        project="xmem-annotate",
        version="1",
        header_comment=_COMMENT,
        # The same whenever it is written, so that only texts make a difference.
        creation_date=_BEGUN,
        revision_date=_BEGUN,
        last_translator="",
        language_team="",
        msgid_bugs_address="",
        fuzzy=False,
    )
    for (singular, plural), _ in sorted(
        texts.items(), key=lambda one: (one[0][0], one[0][1] or "")
    ):
        known = old.get(singular)
        is_same = known is not None and bool(known.pluralizable) == (plural is not None)
        translated = known.string if known is not None and is_same else ""
        new.add((singular, plural) if plural else singular, translated or "")
    return new


def write_catalogue(catalogue: Catalog, folder: Path) -> None:
    """de.po and de.mo."""
    stem = folder / str(catalogue.locale)
    with stem.with_suffix(".po").open("wb") as file:
        write_po(file, catalogue, width=_WIDTH, no_location=True)
    with stem.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalogue)


def main() -> None:
    folder, texts = languages_folder(), texts_in_code()
    codes = sorted({path.stem for path in folder.glob("*.po")} | set(sys.argv[1:]))
    for code in codes:
        is_there = (folder / f"{code}.po").is_file()
        old = read_catalogue(code) if is_there else Catalog(locale=code)
        new = updated(old, texts)
        write_catalogue(new, folder)
        missing = sum(not is_translated(message) for message in new if message.id)
        sys.stdout.write(f"{code}: {len(texts)} texts, {missing} to be translated in {code}.po\n")


def is_translated(message: Message) -> bool:
    strings = message.string
    return all((strings,) if isinstance(strings, str) else strings or ("",))


if __name__ == "__main__":
    main()
