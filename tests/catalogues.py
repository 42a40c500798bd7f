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
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from resources import languages_folder, models_file

ROOT: Final = Path(__file__).parent.parent
_ROOMS: Final = ("gui", "interaction", "xmem_core")
_CALLS: Final = ("tr", "Message", "UserError")
_LETTERS: Final = re.compile("[^\\W\\d_]")
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
    for text in _texts_of_models():
        found.setdefault((text, None), "resources/models.json")
    return {
        text: place for text, place in found.items() if _LETTERS.search(without_fields(text[0]))
    }


def texts_of(source: str) -> Iterator[tuple[int, Text]]:
    """The texts that `tr`, `Message` and `UserError` are called with, and their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if node.func.id in _CALLS and texts and isinstance(node.args[0], ast.Constant):
                yield node.lineno, (str(texts[0]), str(texts[1]) if len(texts) > 1 else None)


def untranslatable(source: str) -> Iterator[tuple[int, str]]:
    """Calls whose text cannot be found before the program runs: put together, or an f-string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            is_put_together = isinstance(node.args[0], ast.JoinedStr | ast.BinOp | ast.IfExp)
            is_qt = isinstance(node.func, ast.Attribute) and node.func.attr in ("tr", "translate")
            first = node.args[0]
            if (name in _CALLS and is_put_together) or (
                is_qt and isinstance(first, ast.Constant) and isinstance(first.value, str)
            ):
                yield node.lineno, ast.unparse(node)


def _texts_of_models() -> Iterator[str]:
    data = json.loads(models_file().read_text(encoding="utf-8"))
    for model in data["models"]:
        yield model["description"]
        note = model.get("needs", {}).get("note")
        if note:
            yield note


def fields(text: str) -> set[str]:
    """The names of a text's format fields, with how they are written: {"count:,"}."""
    return {
        f"{name}!{conversion}:{spec}"
        for _, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    }


def without_fields(text: str) -> str:
    return "".join(literal for literal, *_ in string.Formatter().parse(text))


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
        missing = sum(not _is_translated(message.string) for message in new if message.id)
        sys.stdout.write(f"{code}: {len(texts)} texts, {missing} to be translated in {code}.po\n")


def _is_translated(strings: str | tuple[str, ...]) -> bool:
    return all((strings,) if isinstance(strings, str) else strings)


if __name__ == "__main__":
    main()
