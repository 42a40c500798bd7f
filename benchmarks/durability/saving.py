"""What saving survives: a power cut, a full disk, calls that fail, kills, and a second program.

Each proof drives a project with the random annotator of the tests, and compares what is found
afterwards with a twin that never touched a disk.
"""

import errno
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

from benchmarks.durability.disk import FullDisk, PowerCuts, failing, watched
from interaction.errors import UserError
from interaction.project import writer
from interaction.project.project import Project
from tests.unit.project_samples import Annotator, State, state, state_of, write_source

__all__ = ["Result", "failing_calls", "full_disk", "kills", "power_cuts", "two_programs"]

_ROOT: Final = Path(__file__).parents[2]


@dataclass(slots=True)
class Result:
    """Counts by what was counted, and each thing that went wrong."""

    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, name: str, number: float = 1) -> None:
        self.figures[name] = self.figures.get(name, 0) + number


def found_in(folder: Path) -> tuple[State, tuple[str, ...]]:
    """What a project holds, and what is damaged in it."""
    with Project.open(folder) as project:
        return state(project), project.damages


def power_cuts(folder: Path, edits: int, step: int = 1, seed: int = 0) -> Result:
    """Cuts the power after every `step`-th call that a session of random edits makes."""
    result = Result()
    twin = Annotator()
    states: list[State] = []
    root = folder / "disk"
    root.mkdir()
    with patch.object(writer, "CHECKPOINT_S", 0.01), watched(root) as watch:
        project = Project.create(root / "p.vos", write_source(folder))
        # The folder that holds the project was there before it; its name is safe.
        watch.mark("created")
        annotator = Annotator(project)
        for number in range(edits):
            annotator.act(1000 * seed + number)
            twin.act(1000 * seed + number)
            states.append(state_of(twin))
            while not project.is_saved:
                time.sleep(0.0005)
            watch.mark(f"saved {number}")
            if number % 16 == 15:
                project.save_version(f"version {number}")
        project.close()
    empty = state_of(Annotator())
    calls = watch.calls
    first = next(number for number, call in enumerate(calls) if call.path == "created")
    cuts = PowerCuts(root, calls, random.Random(seed))
    for count, place in cuts.states(folder, first + 1, step):
        saved = sum(1 for call in calls[:count] if call.path.startswith("saved"))
        expected = [*(states[saved - 1 : saved + 1] if saved else [empty, states[0]])]
        result.count("power cuts")
        try:
            found, damages = found_in(place / "p.vos")
        except Exception as error:  # noqa: BLE001  (every kind of failure is a fault to report)
            result.faults.append(f"after call {count} ({calls[count - 1].name}): {error!r}")
            continue
        if damages:
            result.faults.append(f"after call {count}: damaged: {damages[0]}")
        elif found not in expected:
            result.faults.append(f"after call {count}: not what was saved ({saved} edits)")
    result.figures["edits"] = edits
    result.figures["calls"] = len(calls)
    return result


def failing_calls(folder: Path, edits: int, seed: int = 0) -> Result:
    """Lets single calls, and runs of calls, fail in turn: a full disk, an input/output error, a
    lack of memory. Everything is on the disk when they succeed again."""
    errors: dict[str, Callable[[], BaseException]] = {
        "full": lambda: OSError(errno.ENOSPC, "No space left on device"),
        "broken": lambda: OSError(errno.EIO, "Input/output error"),
        "refused": lambda: PermissionError(errno.EACCES, "Permission denied"),
        "no memory": MemoryError,
    }
    result = Result()
    chance = random.Random(seed)
    for name, error in errors.items():
        for one in range(3):
            place = folder / f"{name}-{one}"
            place.mkdir()
            Project.create(place / "p.vos", write_source(place)).close()
            share = (0.02, 0.05, 0.1)[one]
            twin = Annotator()
            fails = failing(partial(_by_chance, chance, share), error)
            with patch.object(writer, "RETRY_S", 0.001), watched(place, fails) as watch:
                project = _opened_at_last(place / "p.vos")
                annotator = Annotator(project)
                for number in range(edits):
                    annotator.act(number)
                    twin.act(number)
                deadline_s = time.monotonic() + 60
                while not project.is_saved and time.monotonic() < deadline_s:
                    time.sleep(0.001)
                with suppress(MemoryError):
                    project.close(discards=True)
            result.count("injected errors", watch.failures)
            _compare(result, f"{name} {one}", place / "p.vos", twin)
    return result


def _by_chance(chance: random.Random, share: float, number: int) -> bool:
    return chance.random() < share


def _opened_at_last(folder: Path) -> Project:
    """Where the lock or the first checkpoint cannot be written, a project opens for reading."""
    while True:
        with suppress(UserError, MemoryError, OSError):
            project = Project.open(folder)
            if not project.is_read_only:
                return project
            project.close()


def _close_at_last(project: Project) -> None:
    """An attempt that began while the disk was full may still report that once."""
    with suppress(UserError):
        project.close()
        return
    project.close()


def full_disk(folder: Path, fillings: int, edits: int = 20) -> Result:
    """Fills the disk after so many calls, works on, frees it; and once leaves on a full disk."""
    result = Result()
    for filling in range(fillings):
        place = folder / f"full-{filling}"
        place.mkdir()
        Project.create(place / "p.vos", write_source(place)).close()
        twin = Annotator()
        full = FullDisk(3 * filling)
        with patch.object(writer, "RETRY_S", 0.001), watched(place, full):
            full.is_full = False
            project = Project.open(place / "p.vos")
            full.is_full = True
            annotator = Annotator(project)
            for number in range(edits):
                annotator.act(number)
                twin.act(number)
            with suppress(UserError):
                project.flush()
            with suppress(UserError):
                project.save_version("while full")
            full.is_full = False
            _close_at_last(project)
        result.count("fillings")
        _compare(result, f"full after {3 * filling} calls", place / "p.vos", twin)
        left = [path.name for path in place.rglob("*.partial")]
        if left:
            result.faults.append(f"full after {3 * filling} calls: left {left}")
    return result


_WORK = """
import sys, time
from pathlib import Path
from interaction.project.project import Project
from tests.unit.project_samples import Annotator
annotator = Annotator(Project.open(Path(sys.argv[1])))
first, pause_s = int(sys.argv[2]), float(sys.argv[3])
for number in range(first, 10**9):
    annotator.act(number)
    sys.stdout.write(f"{number} {time.monotonic_ns()}\\n")
    sys.stdout.flush()
    time.sleep(pause_s)
"""


def kills(folder: Path, count: int, pause_s: float = 0.02, seed: int = 0) -> Result:
    """Kills a program that edits, `count` times, and opens the project after each.

    Counted are the edits that a kill cost: those that the program had made and that are not there.
    """
    result = Result()
    place = folder / "p.vos"
    Project.create(place, write_source(folder)).close()
    chance = random.Random(seed)
    twin, number = Annotator(), 0
    reopened: set[int] = set()  # before which edits: later ones join no step made before
    worst, oldest_ms = 0, 0.0
    for _ in range(count):
        command = [sys.executable, "-c", _WORK, str(place), str(number), str(pause_s)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
            assert process.stdout is not None
            made = [process.stdout.readline() for _ in range(chance.randrange(1, 12))]
            time.sleep(chance.random() * pause_s)
            process.send_signal(signal.SIGKILL)
            killed_ns = time.monotonic_ns()
            made += process.stdout.read().splitlines()
        made_ns = {int(line.split()[0]): int(line.split()[1]) for line in made if " " in line}
        last = max(made_ns)
        found, damages = found_in(place)
        result.count("kills")
        if damages:
            result.faults.append(f"damaged: {damages[0]}")
            break
        # The edit in progress may be there, though the program had no time to say so.
        states = [(number - 1, state_of(twin))]
        while number <= last + 1:
            twin.act(number)
            states.append((number, state_of(twin)))
            number += 1
        alike = [made for made, one in states if one == found]
        if not alike:
            result.faults.append(f"after edit {last}: a state that never was")
            break
        worst = max(worst, last - alike[-1])
        if last > alike[-1]:
            age_ms = (killed_ns - made_ns[alike[-1] + 1]) / 1e6
            oldest_ms = max(oldest_ms, age_ms)
        result.count("edits made", last - states[0][0])
        result.count("edits lost", max(0, last - alike[-1]))
        number = alike[-1] + 1
        reopened.add(number)
        twin = Annotator()
        for made_before in range(number + 1):
            if made_before in reopened:
                twin.forget_groups()
            if made_before < number:
                twin.act(made_before)
    result.figures["most edits lost by a kill"] = worst
    result.figures["oldest edit lost, ms before the kill"] = round(oldest_ms)
    return result


_CONTEND = """
import sys, time
from pathlib import Path
from interaction.errors import ProjectInUseError
from interaction.project.project import Project
from tests.unit.project_samples import Annotator
step_s, wanted = float(sys.argv[2]), int(sys.argv[3])
if step_s:
    clock = time.time
    time.time = lambda: clock() + step_s * int(clock() * 10)
    import socket
    socket.gethostname = lambda: f"host-{time.monotonic_ns()}"
done = 0
while done < wanted:
    try:
        project = Project.open(Path(sys.argv[1]))
    except ProjectInUseError:
        time.sleep(0.002)
        continue
    with project:
        Annotator(project).add_object(f"{sys.argv[4]} {done}")
    done += 1
"""


def two_programs(folder: Path, openings: int) -> Result:
    """Two programs open one project in turn, as fast as they can, with clocks that step and names
    of the computer that change. Every edit of both is there in the end."""
    result = Result()
    place = folder / "p.vos"
    Project.create(place, write_source(folder)).close()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _CONTEND, str(place), step_s, str(openings), name], cwd=_ROOT
        )
        for name, step_s in (("a", "0"), ("b", "3600"), ("c", "-2.5"))
    ]
    for process in started:
        if process.wait() != 0:
            result.faults.append(f"a program ended with {process.returncode}")
    with Project.open(place) as project:
        names = [one.name for one in project.load_annotation().objects]
        damages = project.damages
    expected = {f"{name} {number}" for name in "abc" for number in range(openings)}
    result.count("openings", len(names))
    if damages or set(names) != expected or len(names) != len(expected):
        result.faults.append(f"damages {damages}; {len(expected - set(names))} edits are missing")
    return result


def _compare(result: Result, what: str, place: Path, twin: Annotator) -> None:
    found, damages = found_in(place)
    if damages:
        result.faults.append(f"{what}: damaged: {damages[0]}")
    elif found != state_of(twin):
        result.faults.append(f"{what}: not what was recorded")
