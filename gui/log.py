"""The program's log: a file that the log viewer shows, a little of it kept from earlier starts."""

import logging
from collections import deque
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from platformdirs import user_log_path

__all__ = ["last_lines", "log_file", "start_log"]

_LOG_BYTES: Final = 1_000_000


def start_log() -> None:
    """From now on everything of weight is written down."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    with suppress(OSError):  # a full or read-only disk is no reason not to start
        log_file().parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            RotatingFileHandler(log_file(), maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8")
        )
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=handlers,
    )


def log_file() -> Path:
    return user_log_path("xmem-annotate", appauthor=False) / "xmem-annotate.log"


def last_lines(count: int) -> list[str]:
    """The end of the log; empty if there is none."""
    try:
        with log_file().open(encoding="utf-8", errors="replace") as file:
            return list(deque(file, maxlen=count))
    except OSError:
        return []
