"""Lists of propagations by the command, with the tiny tracker."""

import json
from pathlib import Path

import pytest

from interaction.command_line.app import main
from tests import tiny
from xmem_core.weights import network_bytes


def write_tracker(folder: Path) -> None:
    """The network, and the configuration that chooses it."""
    (folder / "tiny.safetensors").write_bytes(network_bytes(tiny.network(), {}))
    (folder / "config.toml").write_text(
        '[propagate]\nmodel = "tiny.safetensors"\ndevice = "cpu"\ninternal-size = 16\n', "utf-8"
    )


def run(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, list[dict[str, object]]]:
    with pytest.raises(SystemExit) as ended:
        main(["batch", *line, "--config", "config.toml", "--json"])
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)
