"""Two people's tasks in the window, done with real mouse and keys: clicks, keys and waiting.

    python -m benchmarks.hands_on [--internal-size 240] [--pictures FOLDER] [--json]

rabbit: open the sample, cut out the rabbit, track it, correct two frames, export the overlay.
people: two people who look alike cross each other; a box round each, track both.

Offscreen, with the bundled networks. The clip of two people is drawn here. A drag and a drop count
as a click, a key with what is held as one key; waiting is the time in which nothing can be done
for the task. `tests/gui/test_hands_on_counts.py` holds the counts of docs/hands-on.md.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from benchmarks.window import open_window, sample_button
from gui.dialogs.export import ExportDialog
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.operations import Busy
from xmem_core.arrays import Frame

__all__ = ["Effort", "Person", "cut_out_the_rabbit", "tell_two_people_apart", "write_people"]

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_KEY, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
RABBIT: Final = ((338, 433, LEFT), (326, 301, LEFT), (249, 416, RIGHT), (406, 310, LEFT))
_PATIENCE_S: Final = 1800.0


@dataclass(slots=True)
class Effort:
    clicks: int = 0  # drags and drops too
    keys: int = 0
    waiting_s: float = 0.0


class Person:
    """Uses the window, and counts what that takes."""

    def __init__(self, window: MainWindow) -> None:
        self.window = window
        self.effort = Effort()

    @property
    def workspace(self) -> Workspace:
        workspace = self.window.workspace
        assert workspace is not None
        return workspace

    def wait(self, is_done: Callable[[], bool]) -> None:
        start = time.monotonic()
        while not is_done():
            QApplication.processEvents()
            time.sleep(0.002)
            if time.monotonic() - start > _PATIENCE_S:
                raise TimeoutError("what was waited for did not come")
        QApplication.processEvents()
        self.effort.waiting_s += time.monotonic() - start

    def wait_until_idle(self) -> None:
        self.wait(lambda: self.workspace.annotator.operations.busy is Busy.IDLE)

    def key(self, key: Qt.Key, held: Qt.KeyboardModifier = NO_KEY) -> None:
        self.effort.keys += 1
        QApplication.processEvents()
        QTest.keyClick(QApplication.focusWidget() or self.window, key, held)
        QApplication.processEvents()

    def press(self, button: QWidget, at: QPoint | None = None) -> None:
        self.effort.clicks += 1
        QTest.mouseClick(button, LEFT, NO_KEY, at or button.rect().center())
        QApplication.processEvents()

    def click(self, x: float, y: float, button: Qt.MouseButton = LEFT) -> None:
        """On the picture, at source pixels; until it is answered."""
        self.effort.clicks += 1
        canvas = self.workspace.canvas
        QTest.mouseClick(
            canvas.viewport(), button, NO_KEY, canvas.to_viewport(QPointF(x, y)).toPoint()
        )
        self.wait_until_idle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """On the picture, at source pixels; until it is answered."""
        self.effort.clicks += 1
        canvas = self.workspace.canvas
        first, last = (canvas.to_viewport(QPointF(*one)).toPoint() for one in (start, end))
        QTest.mousePress(canvas.viewport(), LEFT, NO_KEY, first)
        QTest.mouseMove(canvas.viewport(), (first + last) / 2)
        QTest.mouseMove(canvas.viewport(), last)
        QTest.mouseRelease(canvas.viewport(), LEFT, NO_KEY, last)
        self.wait_until_idle()

    def drop(self, path: Path) -> None:
        """A video or a folder of pictures on the window, until its first frame is there."""
        self.effort.clicks += 1
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        middle = QPointF(self.window.rect().center())
        copy = Qt.DropAction.CopyAction
        enter = QDragEnterEvent(middle.toPoint(), copy, data, LEFT, NO_KEY)
        QApplication.sendEvent(self.window, enter)
        QApplication.sendEvent(self.window, QDropEvent(middle, copy, data, LEFT, NO_KEY))
        self.wait_until_open()

    def wait_until_open(self) -> None:
        self.wait(lambda: self.window.workspace is not None)
        self.wait(lambda: self.workspace.canvas.shown_frame >= 0)
        self.workspace.canvas.setFocus()


def cut_out_the_rabbit(person: Person, target: Path) -> None:
    """target: where the overlay goes; the dialog suggests it."""
    window = person.window
    person.press(sample_button(window))
    person.wait_until_open()
    for x, y, button in RABBIT:
        person.click(x, y, button)
    person.key(Qt.Key.Key_F)
    person.wait_until_idle()
    for _ in range(2):  # the two frames whose correction repairs most
        person.key(Qt.Key.Key_N)
        frame = person.workspace.document.frame
        person.wait(lambda frame=frame: person.workspace.canvas.shown_frame == frame)  # type: ignore[misc]
        person.click(*_inside(person.workspace, frame))
    person.key(Qt.Key.Key_R, SHIFT)
    person.wait_until_idle()
    window.preferences.last_folder = str(target)
    person.key(Qt.Key.Key_E, CTRL)
    [dialog] = [w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog)]
    item = dialog.item_of("overlay-video")
    dialog.formats.scrollToItem(item)
    QApplication.processEvents()
    person.press(dialog.formats.viewport(), dialog.formats.visualItemRect(item).center())
    person.press(dialog.export_button)
    person.wait_until_idle()
    person.key(Qt.Key.Key_Escape)


def tell_two_people_apart(person: Person, clip: Path) -> None:
    person.drop(clip)
    person.key(Qt.Key.Key_X)
    for number, (start, end) in enumerate(PEOPLE):
        if number:
            person.key(Qt.Key.Key_N, CTRL)
        person.drag(start, end)
    person.key(Qt.Key.Key_F)
    person.wait_until_idle()


def _inside(workspace: Workspace, frame: int) -> tuple[float, float]:
    """The place deepest inside the object, where a person would point at it."""
    mask = (workspace.document.annotation.labels(frame) > 0).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x), float(y)


WIDTH, HEIGHT, FRAMES = 320, 180, 24
PEOPLE: Final = (((38, 46), (92, 164)), ((228, 46), (282, 164)))  # boxes on the first frame


def write_people(folder: Path) -> Path:
    """Two people in the same clothes, who walk towards each other and past, one behind the other;
    a folder of pictures."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(8)
    coarse = rng.integers(90, 150, (12, 20, 3), dtype=np.uint8)
    ground = np.asarray(
        cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8
    )
    for frame in range(FRAMES):
        picture = ground.copy()
        step = 190 * frame / (FRAMES - 1)
        _draw_person(picture, 255 - step, frame, hair=(60, 40, 30))
        _draw_person(picture, 65 + step, frame, hair=(190, 150, 70))
        Image.fromarray(picture).save(folder / f"{frame:05d}.png")
    return folder


def _draw_person(picture: Frame, x: float, frame: int, hair: tuple[int, int, int]) -> None:
    at, swing = round(x), round(9 * np.sin(frame * 0.9))
    coat, skin, trousers = (150, 40, 50), (224, 178, 150), (40, 50, 90)
    for foot in (swing, -swing):
        cv2.line(picture, (at, 118), (at + foot, 158), trousers, 11, cv2.LINE_AA)
    cv2.ellipse(picture, (at, 98), (17, 30), 0, 0, 360, coat, -1, cv2.LINE_AA)
    for hand in (swing, -swing):
        cv2.line(
            picture, (at, 82), (at + hand + 14 * (1 if hand > 0 else -1), 112), coat, 8, cv2.LINE_AA
        )
    cv2.circle(picture, (at, 60), 12, skin, -1, cv2.LINE_AA)
    cv2.ellipse(picture, (at, 55), (12, 9), 0, 180, 360, hair, -1, cv2.LINE_AA)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hands_on", description=__doc__)
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each task's end")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    application = QApplication([])
    report: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_DATA_HOME"] = name  # where the sample's project is made
        tasks: dict[str, Callable[[Person], None]] = {
            "rabbit": lambda person: cut_out_the_rabbit(person, Path(name)),
            "people": lambda person: tell_two_people_apart(
                person, write_people(Path(name) / "people")
            ),
        }
        for task, do in tasks.items():
            place = Path(name) / f"{task}.json"
            preferences = Preferences(place)
            preferences.internal_size_px = arguments.internal_size
            window = open_window(application, preferences)
            person = Person(window)
            do(person)
            effort = person.effort
            report[task] = {
                "clicks": effort.clicks, "keys": effort.keys,
                "waiting_s": round(effort.waiting_s, 1),
            }  # fmt: skip
            if arguments.pictures is not None:
                person.workspace.document.set_frame(person.workspace.document.frame_count // 2)
                person.wait(lambda: person.workspace.canvas.shown_frame > 0)  # noqa: B023
                settled_s = time.monotonic() + 1.0  # lists follow a run a moment later
                person.wait(lambda: time.monotonic() > settled_s)  # noqa: B023
                picture = window.grab().toImage()
                picture.save(str(arguments.pictures / f"hands-on-{task}.jpg"), "JPEG", 82)  # type: ignore[call-overload]
            window.close()
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        for task, row in report.items():
            print(task, row)


if __name__ == "__main__":
    main()
