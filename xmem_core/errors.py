"""The one kind of failure that is not a bug: something the person at the keyboard can act on."""


class UserError(Exception):
    """`str(error)` is shown as it is: what happened, a blank line, what to do about it."""
