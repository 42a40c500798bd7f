"""`python -m training run CONFIG`, and what is done with its results and before it: `--help`.

Several processes: `torchrun --nproc-per-node 2 -m training run ...`. A run that was stopped goes on
from its last checkpoint when the same command is given again.
"""

import argparse
import logging
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from training.checkpoints import write_mean, write_weights
from training.clicks.task import ClickTask
from training.clicks.tracker_errors import write_tracker_errors
from training.config import ClickTraining, read_config
from training.preparation.packages import build_from_packages, build_pack, chosen_sources
from training.preparation.working_pack import build_working_pack
from training.run import Run, Task
from training.tracker import TrackerTask

_ROOTS = ("static", "photographs", "davis", "youtube", "bl30k")


def main() -> None:
    started = time.monotonic()
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    match arguments.command:
        case "run":
            _run(arguments, started)
        case "export":
            write_weights(arguments.run, arguments.output)
        case "mean":
            write_mean(arguments.files, arguments.shares, arguments.output)
        case "errors":
            write_tracker_errors(arguments.source, arguments.output, arguments.tracker)
        case "prepare":
            limit_bytes = int(arguments.megabytes * 1e6)
            build_working_pack(arguments.source, arguments.output, limit_bytes)
        case "pack":
            sources = chosen_sources(arguments.package)
            if arguments.fetch:
                build_from_packages(sources, arguments.output)
            else:
                build_pack(sources, lambda _: arguments.root, arguments.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and export.")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train the tracker or the click network, or go on")
    running.add_argument("config", type=Path)
    running.add_argument("--output", type=Path, help="folder of the run; runs/NAME of the config")
    running.add_argument("--weights", type=Path, help="the exported weights; in the run's folder")
    running.add_argument("--minutes", type=float, help="end before so many minutes are over")
    running.add_argument("--pack", help="folder of training pictures, not the config's")
    running.add_argument("--trunk-weights", help="ImageNet weights (.pth), not the config's")
    for data in _ROOTS:
        running.add_argument(f"--{data}-root", help=f"folder of {data}, not the config's")
    exporting = commands.add_parser("export", help="write a run's newest weights as safetensors")
    exporting.add_argument("run", type=Path, help="folder of the run")
    exporting.add_argument("output", type=Path)
    averaging = commands.add_parser("mean", help="write the mean of several trackers' weights")
    averaging.add_argument("files", type=Path, nargs="+", help="from the oldest to the newest")
    averaging.add_argument("--shares", type=float, nargs="+", required=True)
    averaging.add_argument("--output", type=Path, required=True)
    erring = commands.add_parser("errors", help="write masks that a tracker gets wrong")
    erring.add_argument("source", type=Path, help="folder with stills, DAVIS and video")
    erring.add_argument("output", type=Path, help="a new folder, for clicks to learn from")
    erring.add_argument("--tracker", default="small", help="a name or a file")
    preparing = commands.add_parser("prepare", help="make a small form of pictures with masks")
    preparing.add_argument("source", type=Path, help="folder with stills, DAVIS and video")
    preparing.add_argument("output", type=Path, help="a new folder, for the two roots of them")
    preparing.add_argument("--megabytes", type=float, default=38.0, help="at most so large")
    packing = commands.add_parser("pack", help="make the folder of pictures to compose clips of")
    packing.add_argument("--output", type=Path, required=True, help="a new folder")
    packing.add_argument("--fetch", action="store_true", help="download the Debian packages")
    packing.add_argument("--root", type=Path, default=Path("/"), help="where they are installed")
    packing.add_argument("--package", action="append", help="only this one; may be repeated")
    return parser


def _run(arguments: argparse.Namespace, started: float) -> None:
    names = ("pack", "trunk_weights", *(f"{data}_root" for data in _ROOTS))
    given = {name: getattr(arguments, name) for name in names}
    config = read_config(arguments.config, {k: v for k, v in given.items() if v is not None})
    folder = arguments.output or Path("runs") / arguments.config.stem
    distributed = "WORLD_SIZE" in os.environ
    if distributed:
        on_cuda = torch.cuda.is_available()
        if on_cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_cuda else "gloo")
    try:
        task: Task[Any] = (
            ClickTask(config) if isinstance(config, ClickTraining) else TrackerTask(config)
        )
        run = Run(config, task, folder)
        minutes = arguments.minutes
        run.advance(deadline=None if minutes is None else started + 60 * minutes)
        run.write_weights(arguments.weights or folder / "weights.safetensors")
    finally:
        if distributed:
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
