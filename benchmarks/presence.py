"""What it saves to mark an object absent, on clips in which it is gone for ten frames.

    python -m benchmarks.presence --clips FOLDER NAME... [--internal-size 240] [--frames 40]

FOLDER has the layout of DAVIS. Of each clip ten frames in the middle are replaced: by frames of the
next clip named, so that the camera looks away at other things, or by its own with the object
painted over from its surroundings. It is tracked from its first true mask as it is, and with the
ten marked absent. Printed: what is found of the object on frames where it is not, as a share of
its usual area; mean J of the frames after its return; the frames that tracking itself proposed.
"""

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
from PIL import Image

from interaction.annotation.requests import PresenceRequest
from interaction.annotation.types import PresenceState
from interaction.engines import EngineSettings
from interaction.session import Session
from xmem_core.arrays import Frame, Labels

AWAY = 10  # frames


@dataclass(frozen=True, slots=True)
class Result:
    clip: str
    kind: str
    is_marked: bool
    wrong_area: float  # mean over the frames without the object, as a share of its median area
    returned: float  # mean J of the frames after them
    proposed: int  # frames of the ten that lie in a proposal of the tracker


def read_clip(clips: Path, name: str, count: int) -> tuple[list[Frame], list[Labels]]:
    """The first `count` frames, and their masks with all objects as one."""
    frames, masks = [], []
    for path in sorted((clips / "JPEGImages" / name).iterdir())[:count]:
        with Image.open(path) as picture:
            frames.append(np.asarray(picture.convert("RGB")))
        with Image.open(clips / "Annotations" / name / f"{path.stem}.png") as mask:
            labels = np.asarray(mask)
            masks.append(((labels > 0) & (labels < 255)).astype(np.uint8))
    return frames, masks


def without_object(frame: Frame, labels: Labels) -> Frame:
    """The object and its rim painted over from what surrounds it."""
    wide = cv2.dilate(labels, np.ones((15, 15), np.uint8))
    return np.asarray(cv2.inpaint(frame, wide, 5, cv2.INPAINT_TELEA), np.uint8)


def measure(
    name: str, kind: str, frames: list[Frame], masks: list[Labels], size_px: int
) -> list[Result]:
    first = (len(frames) - AWAY) // 2
    gone = range(first, first + AWAY)
    usual_px = float(np.median([mask.sum() for mask in masks]))
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(Path(temporary) / f"{index:05d}.png")
        for is_marked in (False, True):
            with Session.open(temporary, settings=EngineSettings(internal_size=size_px)) as session:
                session.add_object(name)
                session.set_mask(0, masks[0])
                if is_marked:
                    session.do(PresenceRequest(1, gone[0], gone[-1], PresenceState.ABSENT))
                tracked = session.propagate(0)
                found = [session.masks[frame] > 0 for frame in range(len(frames))]
            ious = [
                float((found[i] & (masks[i] > 0)).sum() / max(1, (found[i] | (masks[i] > 0)).sum()))
                for i in range(gone.stop, len(frames))
            ]
            proposed = sum(
                any(one.first <= frame <= one.last for one in tracked.absences) for frame in gone
            )
            wrong = mean(float(found[frame].sum()) for frame in gone) / usual_px
            results.append(Result(name, kind, is_marked, wrong, mean(ious), proposed))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presence", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--internal-size", type=int, default=240)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    read = {name: read_clip(chosen.clips, name, chosen.frames) for name in chosen.names}
    results: list[Result] = []
    for number, name in enumerate(chosen.names):
        frames, masks = read[name]
        first = (len(frames) - AWAY) // 2
        other = read[chosen.names[(number + 1) % len(chosen.names)]][0]
        away, empty = list(frames), list(frames)
        for place in range(first, first + AWAY):
            height, width = frames[place].shape[:2]
            away[place] = np.asarray(cv2.resize(other[place], (width, height)), np.uint8)
            empty[place] = without_object(frames[place], masks[place])
        for kind, shown in (("looks away", away), ("painted over", empty)):
            results += measure(name, kind, shown, masks, chosen.internal_size)
            if not chosen.json:
                print(*(asdict(one) for one in results[-2:]), sep="\n", flush=True)
    if chosen.json:
        print(json.dumps([asdict(one) for one in results], indent=2))


if __name__ == "__main__":
    main()
