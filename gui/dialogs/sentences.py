"""What is found, for people to read: a sentence a line."""

from collections.abc import Iterable

__all__ = ["as_text"]


def as_text(lines: Iterable[str]) -> str:
    """Each line begins with a capital letter, as what comes before it may be a sentence too."""
    return "\n".join(line[:1].upper() + line[1:] for line in lines)
