"""A file of weights -> the click network it holds, recognised by what is in it, not by its name."""

from pathlib import Path

from interaction.fbrs.network import ClickNetwork
from interaction.fbrs.small_network import load_small_click_network

__all__ = ["load_click_network"]


def load_click_network(path: Path) -> ClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else.

    No code in the file is ever run.
    """
    return load_small_click_network(path)
