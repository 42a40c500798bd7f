"""Texts for people, in English, and the one kind of failure that is not a bug."""

from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Self


class Message(str):
    """The filled English text, as a string; the window translates `template` and fills it again.

    template: with Python's format fields, by name; without values it is taken as it is, braces
    included. plural: the template for any count but 1, which `values["count"]` then has to give.
    Values may be messages themselves, the reason inside an error for example. Exceptions and paths
    are kept as their texts.
    """

    template: str
    plural: str | None
    values: dict[str, object]

    def __new__(cls, template: str, plural: str | None = None, /, **values: object) -> Self:
        for name, value in values.items():
            if isinstance(value, BaseException | PurePath):
                values[name] = str(value)
        chosen = template if plural is None or values["count"] == 1 else plural
        message = super().__new__(cls, chosen.format(**values) if values else chosen)
        message.template, message.plural, message.values = template, plural, values
        return message

    @classmethod
    def joined(cls, separator: str, parts: Iterable[str]) -> Self:
        """Several texts one after the other, each of which is translated by itself."""
        values = {f"part_{number}": part for number, part in enumerate(parts)}
        return cls(separator.join(f"{{{name}}}" for name in values), **values)

    def __str__(self) -> str:
        return self  # so that `str(error)` of a message is still one

    def __reduce__(self) -> tuple[Callable[..., "Message"], tuple[object, ...]]:
        return _made_again, (type(self), self.template, self.plural, self.values)


def _made_again(
    kind: type[Message], template: str, plural: str | None, values: dict[str, object]
) -> Message:
    return kind(template, plural, **values)


class UserError(Exception):
    """Something the person at the keyboard can act on. `str(error)` is English,
    `error.message` can be translated: what happened, a blank line, what to do about it.

    template, values: of the message, see `Message`; or a message that is there already.
    """

    def __init__(self, template: str, plural: str | None = None, /, **values: object) -> None:
        is_message = isinstance(template, Message) and not values
        self.message = template if is_message else Message(template, plural, **values)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message
