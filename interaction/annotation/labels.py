"""What Undo and the history call an edit: a key and values, in the journal too.

The text that belongs to a key may change from version to version and is in the window's language;
the key is for ever. Journals of earlier programs hold the English text itself, which is shown as
it is.
"""

from collections.abc import Callable, Mapping
from typing import Final, Self

from xmem_core.messages import Message

_TEXTS: Final[Mapping[str, Message]] = {
    "absent": Message("‘{name}’ absent"),
    "add_object": Message("Add ‘{name}’"),
    "box": Message("Box round ‘{name}’"),
    "change_objects": Message("Change objects"),
    "clear_frame": Message("Clear frame"),
    "clear_object": Message("Clear ‘{name}’"),
    "click": Message("Click on ‘{name}’"),
    "confirm": Message("Confirm frame"),
    "copy": Message("Copy mask"),
    "cut_out": Message("Cut out of ‘{name}’"),
    "delete": Message("Delete ‘{name}’"),
    "erase": Message("Erase ‘{name}’"),
    "exclude": Message("Keep out of memory"),
    "fill_holes": Message("Fill holes"),
    "flood_fill": Message("Fill"),
    "grow": Message("Grow"),
    "hide": Message("Hide ‘{name}’"),
    "import": Message("Import “{name}”"),
    "import_project": Message("Masks of ‘{name}’"),
    "import_workspace": Message("Masks of the workspace"),
    "keep_covered": Message("‘{name}’ keeps covered pixels"),
    "keep_largest": Message("Keep largest part"),
    "lasso": Message("Lasso ‘{name}’"),
    "lock": Message("Lock ‘{name}’"),
    "lose_covered": Message("‘{name}’ loses covered pixels"),
    "merge": Message("Merge ‘{name}’ into ‘{into}’"),
    "move": Message("Move ‘{name}’"),
    "not_looked_at": Message("‘{name}’ not looked at"),
    "occluded": Message("‘{name}’ occluded"),
    "outside": Message("Changes by another program"),
    "paint": Message("Paint ‘{name}’"),
    "pin": Message("Pin to memory"),
    "present": Message("‘{name}’ present"),
    "release": Message("Leave to memory"),
    "recolor": Message("Recolour ‘{name}’"),
    "remove_click": Message("Remove click on ‘{name}’"),
    "remove_part": Message("Remove a part"),
    "remove_specks": Message("Remove specks"),
    "rename": Message("Rename ‘{name}’"),
    "scribble": Message("Scribble on ‘{name}’"),
    "set_mask": Message("Set mask"),
    "show": Message("Show ‘{name}’"),
    "shrink": Message("Shrink"),
    "smooth": Message("Smooth edge"),
    "split": Message("Split ‘{name}’"),
    "swap": Message("Swap ‘{name}’ and ‘{other}’"),
    "to_back": Message("Send to back"),
    "to_front": Message("Bring to front"),
    "track_backward": Message("Track backward"),
    "track_both": Message("Track both ways"),
    "track_forward": Message("Track forward"),
    "unconfirm": Message("Take back frame"),
    "unlock": Message("Unlock ‘{name}’"),
    "version": Message("Go back to ‘{name}’"),
}


class Label(Message):
    """A label by its key; as a string it is the English text. KeyError for an unknown key, or a
    value that is missing."""

    key: str

    def __new__(cls, key: str, **values: str) -> Self:
        template = _TEXTS[key].template
        template.format(**values)  # also where there are none
        label = super().__new__(cls, template, **values)
        label.key = key
        return label

    def __reduce__(self) -> tuple[Callable[..., Message], tuple[object, ...]]:
        return _made_again, (self.key, self.values)


def _made_again(key: str, values: dict[str, str]) -> Label:
    return Label(key, **values)


def label_to_json(label: str) -> str | dict[str, str]:
    """{"key": "click", "name": "bear"}; the text of a label that is none of this program's."""
    if not isinstance(label, Label):
        return str(label)
    return {"key": label.key} | {name: str(value) for name, value in label.values.items()}


def label_from_json(value: Mapping[str, object]) -> str:
    """A label whose key or values are not known, of a later program, is shown as they are.

    ValueError if a key or a value is not a text.
    """
    values = {name: one for name, one in value.items() if isinstance(one, str)}
    if len(values) < len(value):
        raise ValueError("a label's values are not texts")
    texts = " ".join(values.values())
    try:
        return Label(values.pop("key"), **values)
    except (KeyError, TypeError):
        return texts
