"""How much work a clip is: clicks and rounds of a simulated annotator until its masks are right.

    python -m benchmarks.effort --clips FOLDER [--only CLIP …] [--learn-every N] [--json]
    python -m benchmarks.effort --clips FOLDER --protocol davis [--rounds 8] [--json]

FOLDER has the DAVIS layout; clips with masks for fewer than half of their frames are left out. The
annotator clicks the first frame, tracks it through the clip, goes to the worst frame that it has
not been on, clicks there, confirms that frame, tracks again both ways, halfway to the next frames
that were clicked, and so on until the mean J (over objects, then over all annotated frames but the
first and the last) reaches the goal. A click is where the mask is most wrong
(`interaction/clicks/prompts.py`); a frame is clicked until each object's J reaches the goal of a
frame, clicks no longer help, or the limit of clicks. After the first frame and then every so many,
the annotator lets the program learn from the frames confirmed so far and tracks from all of them
again. --choose goes by the program's own trust instead of the truth, which only a benchmark knows.

`--protocol davis` is the protocol of the interactive DAVIS challenge (Caelles et al., "The 2018
DAVIS Challenge on Video Object Segmentation"): eight rounds of scribbles by a robot, the first on
the first frame and each further one on the frame whose mean J is worst, drawn through the middle of
the largest part that is missing and the largest that is too much, of each object. After each round
the clip is tracked from that frame, and J&F is the mean over all objects and annotated frames. Time
is what the program computes. The area under J&F over time, from (0, 0) in straight lines, is
divided by the time allowed, 30 s an object and round; rounds that begin after that do not count.
The challenge's first scribbles are by people and are not part of the clips, so the robot draws
these too.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.requests import ClearRequest, ConfirmRequest
from interaction.annotation.types import Click, Stroke
from interaction.clicks.prompts import MODES, ClickConfig, Region, depth_inside, next_click
from interaction.engines import Engines, EngineSettings
from interaction.errors import UserError
from interaction.evaluation.scores import boundary_accuracy, region_similarity
from interaction.session import Session

_VOID = 255
_FRESH_CLICKS = 4
# The next frame: the truly worst, which no annotator knows; the one of most doubt; or the first of
# those that the program would have annotated next.
Choice = Literal["truth", "doubt", "next"]
_SECONDS_A_ROUND = 30.0  # that the protocol allows for each object
_STROKE_SIZE_PX = 64  # of the longer side at which a stroke's way is looked for
_STROKE_RADIUS_PX = 3.0
_LEAST_DEPTH_PX = 2.0  # a part that is thinner gets no stroke


@dataclass(frozen=True, slots=True)
class Aim:
    """When an object is left on a frame."""

    j: float
    clicks: int  # at most
    patience: int  # clicks in a row without any gain


@dataclass(frozen=True, slots=True)
class Round:
    """One visit of a frame and the propagation after it."""

    frame: int
    clicks: int
    frame_j: float  # of that frame, once it was clicked
    mean_j: float  # of the clip, once it was tracked
    click_seconds: float
    learning_seconds: float
    tracking_seconds: float


@dataclass(frozen=True, slots=True)
class Effort:
    """What one clip took."""

    clip: str
    frames: int
    objects: int
    is_reached: bool
    rounds: tuple[Round, ...]

    @property
    def clicks(self) -> int:
        return sum(one.clicks for one in self.rounds)

    @property
    def seconds(self) -> float:
        return sum(
            one.click_seconds + one.learning_seconds + one.tracking_seconds for one in self.rounds
        )


def read_truths(folder: Path, session: Session) -> dict[int, NDArray[np.uint8]]:
    by_name = {session.video.name(frame): frame for frame in range(session.annotation.frame_count)}
    truths = {}
    for path in sorted(folder.glob("*.png")):
        labels = decode_labels(path.read_bytes(), path)
        truths[by_name[path.stem]] = np.where(labels == _VOID, 0, labels).astype(np.uint8)
    return truths


def frame_j(labels: NDArray[np.uint8], truth: NDArray[np.uint8], ids: tuple[int, ...]) -> float:
    return float(np.mean([region_similarity(labels == i, truth == i) for i in ids]))


def visit(session: Session, frame: int, truth: NDArray[np.uint8], aim: Aim) -> int:
    """Clicks each object right on one frame and confirms it. Returns the number of clicks.

    What only made it worse is undone and counts all the same. Once the program
    has learned, finding an object afresh is tried first: what was tracked is deleted, which counts
    as a click, and stays deleted if a few clicks lead farther than it did.
    """
    count = 0
    for one in session.annotation.objects:
        own = truth == one.id
        tracked = _mask(session, frame, one.id)
        if not own.any():
            if tracked.any():
                session.do(ClearRequest(frame, one.id))  # one look, one key
                count += 1
            continue
        if region_similarity(tracked, own) >= aim.j:
            continue
        if tracked.any() and not session.engines.models.is_empty:
            before = _now(session)
            session.do(ClearRequest(frame, one.id))
            tries, found = _click(session, frame, one.id, own, replace(aim, clicks=_FRESH_CLICKS))
            count += 1 + tries
            if found < region_similarity(tracked, own):
                session.ledger.go_to(before)
        count += _click(session, frame, one.id, own, aim)[0]
    session.do(ConfirmRequest(frame))
    return count


def _click(
    session: Session, frame: int, object_id: int, own: Region, aim: Aim
) -> tuple[int, float]:
    """Clicks one object until its J reaches the goal, clicks no longer help, or the limit; leaves
    the best mask there was. The number of clicks, and its J."""
    clicks: list[Click] = []
    best, best_position = region_similarity(_mask(session, frame, object_id), own), _now(session)
    stale = 0  # clicks since the best one
    while len(clicks) < aim.clicks and best < aim.j and stale < aim.patience:
        click = next_click(_mask(session, frame, object_id), own, clicks)
        if click is None:
            break
        clicks.append(click)
        session.click(frame, object_id, click.x, click.y, click.is_positive)
        similarity = region_similarity(_mask(session, frame, object_id), own)
        if similarity > best:
            best, best_position, stale = similarity, _now(session), 0
        else:
            stale += 1
    session.ledger.go_to(best_position)
    return len(clicks), best


def _mask(session: Session, frame: int, object_id: int) -> NDArray[np.bool_]:
    return np.asarray(session.annotation.labels(frame) == object_id)


def _now(session: Session) -> int:
    return session.history.position


def annotate(
    session: Session,
    truths: Mapping[int, NDArray[np.uint8]],
    *,
    goal: float,
    aim: Aim,
    most_rounds: int,
    learn_every: int,
    choose: Choice = "truth",
    gives_masks: bool = False,
) -> tuple[Round, ...]:
    ids = tuple(sorted({int(i) for truth in truths.values() for i in np.unique(truth)} - {0}))
    for _ in range(max(ids)):
        session.add_object()
    ordered = sorted(truths)
    scored = ordered[1:-1]
    rounds: list[Round] = []
    frame = ordered[0]
    while True:
        began = time.perf_counter()
        if gives_masks:
            clicks = 0
            session.set_mask(frame, truths[frame])
            session.do(ConfirmRequest(frame))
        else:
            clicks = visit(session, frame, truths[frame], aim)
        clicked = time.perf_counter()
        here = frame_j(session.annotation.labels(frame), truths[frame], ids)
        number = len(rounds) + 1
        is_lesson = learn_every > 0 and (number == 1 or number % learn_every == 0)
        if is_lesson:
            session.learn()
        learned = time.perf_counter()
        for start in [one.frame for one in rounds] * is_lesson + [frame]:
            with suppress(UserError):  # frames that were clicked lie on both sides of it
                session.propagate(start, "both", until="halfway")
        tracked = time.perf_counter()
        js = {f: frame_j(session.annotation.labels(f), truths[f], ids) for f in scored}
        mean = float(np.mean(list(js.values())))
        seconds = clicked - began, learned - clicked, tracked - learned
        rounds.append(Round(frame, clicks, here, mean, *seconds))
        visited = {one.frame for one in rounds}
        left = {f: j for f, j in js.items() if f not in visited}
        if mean >= goal or len(rounds) >= most_rounds or not left:
            return tuple(rounds)
        frame = chosen_frame(session, left, choose)


def chosen_frame(session: Session, left: Mapping[int, float], choose: Choice) -> int:
    """left: by frame that was not visited, its true J."""
    if choose == "next":
        for one in session.next_frames(goal=0.99):
            if one.frame in left:
                return one.frame
    if choose == "doubt":
        return max(left, key=lambda f: session.annotation.record(f).doubt)
    return min(left, key=lambda f: left[f])


# The protocol of the interactive DAVIS challenge


@dataclass(frozen=True, slots=True)
class DavisRound:
    """Scribbles on one frame, and the clip after tracking from there."""

    frame: int
    strokes: int
    seconds: float  # computed, since the beginning
    j: float  # mean over objects and annotated frames
    j_and_f: float


@dataclass(frozen=True, slots=True)
class DavisRun:
    """area: under J&F over time, 0 to 1. at_60_s: J&F after a minute of computing."""

    clip: str
    objects: int
    rounds: tuple[DavisRound, ...]
    area: float
    at_60_s: float


def stroke_through(region: Region, *, is_positive: bool) -> Stroke | None:
    """Along the middle of the largest part of (H, W) `region`, from one end of it to the other.
    None if there is no part that is thick enough."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    if count < 2:
        return None
    part = np.asarray(parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
    if depth_inside(part).max() < _LEAST_DEPTH_PX:
        return None
    step = max(1, -(-max(part.shape) // _STROKE_SIZE_PX))
    small = part[::step, ::step]
    depth = depth_inside(small)
    rows, columns = np.nonzero(depth)
    if len(rows) < 2:
        return None
    number = np.full(depth.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    padded = np.pad(number, 1, constant_values=-1)
    starts, ends, costs = [], [], []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = padded[1 + down :, 1 + right :][: depth.shape[0], : depth.shape[1]]
        here = (number >= 0) & (other >= 0)
        starts.append(number[here])
        ends.append(other[here])
        length = float(np.hypot(down, right))
        # The deeper inside, the cheaper: the way keeps to the middle.
        costs.append(length / depth[here])
    graph = coo_array(
        (np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))),
        shape=(len(rows), len(rows)),
        dtype=np.float64,
    ).tocsr()
    deepest = int(depth[rows, columns].argmax())
    one = _farthest(dijkstra(graph, directed=False, indices=[deepest])[0])
    lengths, before = dijkstra(graph, directed=False, indices=[one], return_predecessors=True)
    at, points = _farthest(lengths[0]), []
    while at >= 0:
        points.append((float(columns[at] * step), float(rows[at] * step)))
        at = int(before[0, at])
    return Stroke(tuple(points), _STROKE_RADIUS_PX, is_positive)


def _farthest(lengths: NDArray[np.float64]) -> int:
    return int(np.where(np.isfinite(lengths), lengths, -1).argmax())


def area_under(rounds: Sequence[DavisRound], most_s: float) -> float:
    """Of J&F over seconds: from (0, 0) in straight lines, level after the last round."""
    times = [0.0, *(one.seconds for one in rounds)]
    scores = [0.0, *(one.j_and_f for one in rounds)]
    ticks = np.unique([0.0, most_s, *(at for at in times if at < most_s)])
    return float(np.trapezoid(np.interp(ticks, times, scores), ticks) / most_s)


def davis_rounds(
    session: Session, truths: Mapping[int, NDArray[np.uint8]], count: int
) -> tuple[DavisRound, ...]:
    ids = tuple(sorted({int(i) for truth in truths.values() for i in np.unique(truth)} - {0}))
    for _ in range(max(ids)):
        session.add_object()
    rounds: list[DavisRound] = []
    frame, seconds = min(truths), 0.0
    for _ in range(count):
        strokes = 0
        for one in ids:
            wanted, found = truths[frame] == one, _mask(session, frame, one)
            drawn = [
                stroke_through(wanted & ~found, is_positive=True),
                stroke_through(found & ~wanted, is_positive=False) if wanted.any() else None,
            ]
            given = [stroke for stroke in drawn if stroke is not None]
            began_s = time.perf_counter()
            if given:
                session.scribble(frame, one, given)
            elif found.any() and not wanted.any():
                session.do(ClearRequest(frame, one))
            seconds += time.perf_counter() - began_s
            strokes += len(given)
        began_s = time.perf_counter()
        with suppress(UserError):  # frames that were scribbled on lie on both sides of it
            session.propagate(frame, "both", until="halfway")
        seconds += time.perf_counter() - began_s
        js = {f: frame_j(session.annotation.labels(f), truths[f], ids) for f in truths}
        fs = [boundary_accuracy(_mask(session, f, i), truths[f] == i) for f in truths for i in ids]
        j = float(np.mean(list(js.values())))
        rounds.append(DavisRound(frame, strokes, seconds, j, (j + float(np.mean(fs))) / 2))
        frame = min(js, key=lambda f: js[f])
    return tuple(rounds)


def davis_run(
    clip: str, session: Session, truths: Mapping[int, NDArray[np.uint8]], count: int
) -> DavisRun:
    rounds = davis_rounds(session, truths, count)
    objects = len(session.annotation.objects)
    most_s = _SECONDS_A_ROUND * objects * count
    times = [0.0, *(one.seconds for one in rounds)]
    at_60_s = float(np.interp(60.0, times, [0.0, *(one.j_and_f for one in rounds)]))
    return DavisRun(clip, objects, rounds, area_under(rounds, most_s), at_60_s)


def _print_davis(run: DavisRun) -> None:
    print(
        f"{run.clip}: area {run.area:.3f}, J&F at 60 s {run.at_60_s:.3f}; J&F by round "
        + " ".join(f"{one.j_and_f:.3f} ({one.seconds:.0f} s)" for one in run.rounds),
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.effort", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--protocol", choices=("goal", "davis"), default="goal")
    parser.add_argument("--rounds", type=int, default=8, help="of the protocol davis")
    parser.add_argument("--goal", type=float, default=0.90)
    parser.add_argument("--choose", choices=get_args(Choice), default="truth")
    parser.add_argument("--give-masks", action="store_true", help="true masks in place of clicks")
    parser.add_argument("--frame-goal", type=float, default=0.93)
    parser.add_argument("--learn-every", type=int, default=2, help="rounds; 0 to never learn")
    parser.add_argument("--clicks-a-visit", type=int, default=30)
    parser.add_argument("--patience", type=int, default=12, help="clicks without any gain")
    parser.add_argument("--click-mode", choices=MODES, default=ClickConfig().mode)
    parser.add_argument("--most-rounds", type=int, default=30)
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--tracker", default=EngineSettings().tracker_model)
    parser.add_argument("--click-model", default=EngineSettings().click_model)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    engines = Engines(
        EngineSettings(
            tracker_model=arguments.tracker,
            click_model=arguments.click_model,
            clicks=ClickConfig(mode=arguments.click_mode),
            device=arguments.device,
            internal_size=arguments.internal_size,
        )
    )
    efforts: list[Effort] = []
    runs: list[DavisRun] = []
    for pictures in sorted((arguments.clips / "JPEGImages").iterdir()):
        if arguments.only and pictures.name not in arguments.only:
            continue
        with Session.open(pictures, engines=engines) as session:
            truths = read_truths(arguments.clips / "Annotations" / pictures.name, session)
            if len(truths) * 2 < session.annotation.frame_count or len(truths) < 3:
                continue
            if arguments.protocol == "davis":
                runs.append(davis_run(pictures.name, session, truths, arguments.rounds))
                if not arguments.json:
                    _print_davis(runs[-1])
                continue
            efforts.append(_annotated(pictures.name, session, truths, arguments))
        if not arguments.json:
            _print_effort(efforts[-1], arguments.goal)
    if arguments.protocol == "davis":
        area = float(np.mean([one.area for one in runs])) if runs else 0.0
        if arguments.json:
            value = {"area": area, "clips": [asdict(one) for one in runs]}
            print(json.dumps(value, indent=1))
        else:
            print(f"mean area over {len(runs)} clips: {area:.3f}")
        return
    if arguments.json:
        report = [{**asdict(one), "clicks": one.clicks, "seconds": one.seconds} for one in efforts]
        print(json.dumps(report, indent=1))


def _annotated(
    clip: str, session: Session, truths: dict[int, NDArray[np.uint8]], arguments: argparse.Namespace
) -> Effort:
    rounds = annotate(
        session,
        truths,
        goal=arguments.goal,
        aim=Aim(arguments.frame_goal, arguments.clicks_a_visit, arguments.patience),
        learn_every=arguments.learn_every,
        choose=arguments.choose,
        gives_masks=arguments.give_masks,
        most_rounds=arguments.most_rounds,
    )
    return Effort(
        clip,
        session.annotation.frame_count,
        len(session.annotation.objects),
        rounds[-1].mean_j >= arguments.goal,
        rounds,
    )


def _print_effort(effort: Effort, goal: float) -> None:
    reached = "reached" if effort.is_reached else "not reached"
    print(
        f"{effort.clip}: {goal:.2f} {reached}, {effort.clicks} clicks on "
        f"{len(effort.rounds)} frames of {effort.frames}, {effort.seconds:.0f} s of computing; "
        "mean J by round (and of the frame just clicked) "
        + " ".join(f"{one.mean_j:.3f} ({one.frame_j:.2f})" for one in effort.rounds),
        flush=True,
    )


if __name__ == "__main__":
    main()
