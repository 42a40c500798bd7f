"""Does memory stay flat on a very long video?  python -m benchmarks.long_run [--frames 10000]

Tracks the sample clip, there and back again, for as many frames as asked at a small internal size,
and prints how resident memory and the memories' elements develop. The slope is a least-squares
line over the frames from 2,000 on.
"""

import argparse
import json

import numpy as np
import torch

from interaction.annotation.mask_files import read_mask
from interaction.models import find_model
from interaction.video.video import open_video
from resources import sample_folder
from xmem_core import MemoryConfig, Tracker, best_device, load_xmem, prepare
from xmem_core.device import keep_freed_memory, used_memory_bytes

SETTLED_FROM = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--internal-size", type=int, default=96)
    parser.add_argument("--model", default="small")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()

    keep_freed_memory()
    device = best_device(options.device)
    network = prepare(load_xmem(find_model(options.model)), device)
    config = MemoryConfig()
    tracker = Tracker(network, config, internal_size=options.internal_size)
    frames, resident = [], []
    most = {"permanent": 0, "working": 0, "long_term": 0}
    with open_video(sample_folder() / "big-buck-bunny.mp4", cache_bytes=2**29) as video:
        there_and_back = [*range(len(video)), *range(len(video) - 2, 0, -1)]
        mask = read_mask(sample_folder() / "masks" / "0000000.png", video.width, video.height)
        tracker.memorize(0, video[0], mask)
        tracker.begin()
        tracker.revisit(0, video[0])
        for index in range(1, options.frames):
            tracker.track(video[there_and_back[index % len(there_and_back)]]).labels()
            for name in most:
                most[name] = max(most[name], len(getattr(tracker.bank, name)))
            if index % 50 == 0:
                frames.append(index)
                resident.append(used_memory_bytes(device))
            if index % 1000 == 0:
                print(f"frame {index}: {resident[-1] / 2**20:.0f} MiB, {most}", flush=True)
    settled = np.array(frames) >= SETTLED_FROM
    slope = np.polyfit(np.array(frames)[settled], np.array(resident)[settled], 1)[0]
    per_frame = len(tracker.bank.permanent)
    report = {
        "frames": options.frames,
        "internal_size": options.internal_size,
        "slope_megabytes_per_1000_frames": float(slope * 1000 / 1e6),
        "most_elements": most,
        "limits": {
            "working": (config.max_working_frames - 1) * per_frame,
            "long_term": config.max_long_term,
        },
        "torch": torch.__version__,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
