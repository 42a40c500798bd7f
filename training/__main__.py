"""`python -m training tracker|click --config FILE --output RUN`, `export`, `mean`, `pair`, `pack`.

Several processes: `torchrun --nproc-per-node 2 -m training tracker ...`. A run that was stopped
goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import torch
import torch.distributed as dist

from training.checkpoints import export
from training.clicks.config import read_click_config
from training.clicks.loop import ClickRun, export_clicks, read_click_checkpoint
from training.clicks.pair import write_pair
from training.config import read_config
from training.loop import TrackerRun
from training.mean import write_mean
from training.preparation.build import build_from_packages, build_pack
from training.preparation.sources import chosen_sources

_DATA_SETS = ("static", "davis", "youtube", "bl30k")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and export.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("tracker", "the tracker"), ("click", "the click network")):
        command = commands.add_parser(name, help=f"train {what}, or go on training it")
        command.add_argument("--config", type=Path, required=True)
        command.add_argument("--output", type=Path, required=True, help="folder of the run")
        command.add_argument("--pack", help="folder of training pictures, not the config's")
        command.add_argument("--trunk-weights", help="ImageNet weights (.pth), not the config's")
        for data in _DATA_SETS:
            command.add_argument(f"--{data}-root", help=f"folder of {data}, not the config's")
    exporting = commands.add_parser("export", help="write a run's newest weights as safetensors")
    exporting.add_argument("--checkpoint", type=Path, required=True, help="folder of the run")
    exporting.add_argument("--output", type=Path, required=True)
    averaging = commands.add_parser("mean", help="write the mean of several files' weights")
    averaging.add_argument("files", type=Path, nargs="+", help="from the oldest to the newest")
    averaging.add_argument("--shares", type=float, nargs="+", required=True)
    averaging.add_argument("--output", type=Path, required=True)
    pairing = commands.add_parser("pair", help="put two click networks into one file")
    pairing.add_argument("first", type=Path, help="weights for the first click on a new object")
    pairing.add_argument("others", type=Path, help="weights for every other click")
    pairing.add_argument("output", type=Path)
    packing = commands.add_parser("pack", help="make the folder of training pictures")
    packing.add_argument("--output", type=Path, required=True, help="a new folder")
    packing.add_argument("--fetch", action="store_true", help="download the Debian packages")
    packing.add_argument("--root", type=Path, default=Path("/"), help="where they are installed")
    packing.add_argument("--package", action="append", help="only this one; may be repeated")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.command == "export":
        is_click = read_click_checkpoint(arguments.checkpoint) is not None
        (export_clicks if is_click else export)(arguments.checkpoint, arguments.output)
    elif arguments.command == "mean":
        write_mean(arguments.files, arguments.shares, arguments.output)
    elif arguments.command == "pair":
        write_pair(arguments.first, arguments.others, arguments.output)
    elif arguments.command == "pack":
        _pack(arguments)
    else:
        _train(arguments)


def _pack(arguments: argparse.Namespace) -> None:
    sources = chosen_sources(arguments.package)
    if arguments.fetch:
        build_from_packages(sources, arguments.output)
    else:
        build_pack(sources, lambda _: arguments.root, arguments.output)


def _train(arguments: argparse.Namespace) -> None:
    given = {"pack": arguments.pack, "trunk_weights": arguments.trunk_weights}
    for data in _DATA_SETS:
        given[f"{data}_root"] = getattr(arguments, f"{data}_root")
    overrides = {name: value for name, value in given.items() if value is not None}
    distributed = "WORLD_SIZE" in os.environ
    if distributed:
        on_cuda = torch.cuda.is_available()
        if on_cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_cuda else "gloo")
    try:
        if arguments.command == "click":
            ClickRun(read_click_config(arguments.config, overrides), arguments.output).advance()
        else:
            TrackerRun(read_config(arguments.config, overrides), arguments.output).advance()
    finally:
        if distributed:
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
