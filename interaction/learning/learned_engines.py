"""The engines of one session: what was learned from its video, or else the models as they came."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interaction.engine_settings import EngineSettings, EnginesLike, Scribbler, Segmenter
from interaction.engines import Engines
from interaction.errors import ModelError, UserError
from interaction.learning.learned_models import LearnedModels

if TYPE_CHECKING:
    from xmem_core.tracker import Tracker

__all__ = ["LearnedEngines"]


class LearnedEngines:
    """Keeps the contract of `Engines`, and belongs to the same thread."""

    def __init__(self, engines: EnginesLike, models: LearnedModels) -> None:
        """engines: shared with other sessions, which learned nothing from this one."""
        self.models = models
        self.plain = engines
        self._own: Engines | None = None  # with learned weights in place of the models

    @property
    def settings(self) -> EngineSettings:
        return self.plain.settings

    def configure(self, settings: EngineSettings) -> None:
        self.plain.configure(settings)

    def renew(self) -> None:
        """To be called when `models` have changed: whatever is asked next is asked of them."""
        self._own = None

    def segmenter(self) -> Segmenter:
        path = self.models.weights_of("clicks", self.settings.click_model)
        if path is None:
            return self.plain.segmenter()
        clicks = self.settings.clicks
        near = min(clicks.least_crop_px, clicks.least_correction_px)  # it has learned from near
        clicks = replace(clicks, least_crop_px=near)
        own = self._with(replace(self.settings, click_model=str(path), clicks=clicks))
        try:
            return own.segmenter()
        except ModelError as error:
            raise _damaged(path, error) from None

    def scribbler(self) -> Scribbler:
        return self.plain.scribbler()

    def start_tracker(self, settings: EngineSettings | None = None) -> "Tracker":
        settings = settings or self.settings
        path = self.models.weights_of("tracker", settings.tracker_model)
        if path is None:
            return self.plain.start_tracker(settings)
        from xmem_core.weights import UnusableWeightsError

        own = self._with(self.settings)
        try:
            return own.start_tracker(replace(settings, tracker_model=str(path)))
        except (ModelError, UnusableWeightsError) as error:
            raise _damaged(path, error) from None

    def _with(self, settings: EngineSettings) -> Engines:
        if self._own is None:
            self._own = Engines(settings)
        self._own.configure(settings)
        return self._own


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).partition("\n")[0]
    return UserError(
        f"What was learned from this video cannot be used ({reason}). The masks are safe.\n\n"
        f"Learn again, or forget what was learned; it is in {path.parent}."
    )
