"""`python -m training tracker --config FILE --output RUN` and `python -m training export`.

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
from training.config import read_config
from training.loop import TrackerRun


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and export.")
    commands = parser.add_subparsers(dest="command", required=True)
    tracker = commands.add_parser("tracker", help="train the tracker, or go on training it")
    tracker.add_argument("--config", type=Path, required=True)
    tracker.add_argument("--output", type=Path, required=True, help="folder of the run")
    tracker.add_argument("--pack", help="folder of training pictures, instead of the config's")
    tracker.add_argument("--trunk-weights", help="ImageNet weights (.pth), instead of the config's")
    exporting = commands.add_parser("export", help="write a run's newest weights as safetensors")
    exporting.add_argument("--checkpoint", type=Path, required=True, help="folder of the run")
    exporting.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "export":
        export(arguments.checkpoint, arguments.output)
    else:
        _train_tracker(arguments)


def _train_tracker(arguments: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given = {"pack": arguments.pack, "trunk_weights": arguments.trunk_weights}
    config = read_config(arguments.config, {k: v for k, v in given.items() if v is not None})
    distributed = "WORLD_SIZE" in os.environ
    if distributed:
        on_cuda = torch.cuda.is_available()
        if on_cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_cuda else "gloo")
    try:
        TrackerRun(config, arguments.output).advance()
    finally:
        if distributed:
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
