"""A file of weights -> the click network it holds, recognised by what is in it, not by its name."""

from pathlib import Path

from interaction.fbrs.network import ClickNetwork
from interaction.fbrs.published_weights import load_published_click_network
from interaction.fbrs.small_network import load_small_click_network

__all__ = ["load_click_network"]


def load_click_network(path: Path) -> ClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else.

    Takes this program's safetensors files and the published f-BRS checkpoints. No code in the
    file is ever run.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        start = b""  # the loader says what is wrong with it
    is_safetensors = len(start) == 9 and start[8:9] == b"{"
    return load_small_click_network(path) if is_safetensors else load_published_click_network(path)
