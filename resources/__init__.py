"""Data that ships with the program, by path.

The package is installed as ordinary files, so every function returns a path that can be opened.
Whether a file is there is the caller's question: bundled weights and the sample are optional.
"""

from importlib.resources import files
from pathlib import Path

__all__ = [
    "application_icon",
    "icons_folder",
    "languages_folder",
    "models_file",
    "sample_folder",
    "weights_folder",
]


def application_icon() -> Path:
    """The program's own icon, PNG, 256 pixels square."""
    return _root() / "xmem-annotate.png"


def icons_folder() -> Path:
    """The folder with the program's icons, SVG in `currentColor`, and their licence."""
    return _root() / "icons"


def languages_folder() -> Path:
    """The folder with a catalogue for each language: de.po, as people edit it, and de.mo."""
    return _root() / "languages"


def models_file() -> Path:
    """The list of models, JSON: what is bundled and what can be downloaded from where."""
    return _root() / "models.json"


def sample_folder() -> Path:
    """The folder with the sample clip and its licence."""
    return _root() / "sample"


def weights_folder() -> Path:
    """The folder with the bundled networks' weights."""
    return _root() / "weights"


def _root() -> Path:
    return Path(str(files(__name__)))
