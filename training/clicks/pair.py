"""Two click networks in one file: one for the first click on a new object, one for all others.

They were trained with different rounds of clicks: few make a network guess whole objects from one
point, many make it mend what is there.
"""

from pathlib import Path

from interaction.clicks.small_network import click_network_bytes, read_click_network
from interaction.files import write_bytes
from xmem_core.weights import read_metadata


def write_pair(first: Path, others: Path, output: Path) -> None:
    """What `others` says of itself is kept. ModelError for a file that is no click network."""
    network = read_click_network(others)
    network.first_look = read_click_network(first)
    write_bytes(output, click_network_bytes(network, read_metadata(others)))
