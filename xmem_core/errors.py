"""The one kind of failure that is not a bug: something the person at the keyboard can act on."""

from xmem_core.messages import Message


class UserError(Exception):
    """`str(error)` is English, `error.message` can be translated: what happened, a blank line,
    what to do about it.

    template, values: of the message, see `Message`; or a message that is there already.
    """

    def __init__(self, template: str, plural: str | None = None, /, **values: object) -> None:
        is_message = isinstance(template, Message) and not values
        self.message = template if is_message else Message(template, plural, **values)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message
