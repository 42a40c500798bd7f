"""A second opinion on tracked masks: now and then, a click network is asked about one.

It sees this frame alone and remembers nothing, so it errs elsewhere than the tracker, which is sure
of a mask that slowly gets worse. How much of a mask it denies depends on the object as well, so
only what it denies beyond the least that it has denied counts: of given masks, and of the run's.
"""

import logging
from collections.abc import Collection

from interaction.annotation.types import Frames
from interaction.engines import Networks
from interaction.errors import DamagedFrameError
from interaction.tracking.propagation import GivenMasks
from interaction.tracking.trust import ASKED_EVERY
from xmem_core.arrays import Labels
from xmem_core.device import is_out_of_memory

log = logging.getLogger(__name__)


class SecondOpinion:
    """On the masks of one run. Depends only on the frame and the given masks, so that a resumed run
    gets the same opinions."""

    def __init__(self, networks: Networks, video: Frames, masks: GivenMasks) -> None:
        """masks: the given ones, which may change while the run goes on."""
        self._networks, self._video, self._masks = networks, video, masks
        self._known: dict[tuple[int, int], float] = {}  # by given frame and object
        self._is_able = True

    def on(
        self, frame: int, labels: Labels, objects: Collection[int]
    ) -> dict[int, tuple[float, float]]:
        """Of those of `objects` that are asked about on this frame: the share of the mask that is
        denied, 0 to 1, and what is usual. labels: (H, W) object ids."""
        # In turn, so that many objects do not hold up one frame.
        due = [one for one in objects if (frame + one) % ASKED_EVERY == 0 and (labels == one).any()]
        found = {}
        for one in due if self._is_able else ():
            usual = self._usual(frame, one)
            if usual is not None and (denied := self._denied(frame, labels, one)) is not None:
                found[one] = denied, usual
        return found

    def _usual(self, frame: int, object_id: int) -> float | None:
        """What is denied of the nearest given masks of the object before and after the frame, the
        mean of both: the same between two given frames. None without any."""
        holders = [other for other, present in self._masks.present.items() if object_id in present]
        before = max((other for other in holders if other <= frame), default=None)
        after = min((other for other in holders if other > frame), default=None)
        found = []
        for other in (before, after):
            if other is None:
                continue
            if (other, object_id) not in self._known:
                denied = self._denied(other, self._masks[other], object_id)
                if denied is None:
                    continue
                self._known[other, object_id] = denied
            found.append(self._known[other, object_id])
        return sum(found) / len(found) if found else None

    def _denied(self, frame: int, labels: Labels, object_id: int) -> float | None:
        """None where the frame cannot be decoded, or the device is too full for a second network,
        which is not asked again then."""
        try:
            judge = self._networks.judge()
            if judge is not None:
                return judge.denied(self._video[frame], labels, object_id)
        except DamagedFrameError:
            return None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning("no second opinions: %s", error)
        self._is_able = False
        return None
