"""Both networks are loaded when they are needed and kept until something about them changes."""

import subprocess
import sys
from dataclasses import replace

import pytest

from interaction.clicks.prompts import ClickConfig
from interaction.clicks.segmenter import ClickSegmenter
from interaction.engines import Engines, EngineSettings
from interaction.errors import ModelError, UserError
from xmem_core import MemoryConfig

CPU = EngineSettings(device="cpu", internal_size=240)


def test_the_click_network_is_kept_until_its_settings_change() -> None:
    engines = Engines(CPU)
    first = engines.segmenter()
    engines.configure(replace(CPU, internal_size=360))
    assert engines.segmenter() is first
    engines.configure(replace(CPU, clicks=ClickConfig(mode="NoBRS")))
    second = engines.segmenter()
    assert second is not first
    assert isinstance(second, ClickSegmenter)
    assert second.config.mode == "NoBRS"


def test_each_tracker_starts_with_empty_memory_on_the_same_network() -> None:
    engines = Engines(replace(CPU, memory=MemoryConfig(memorize_every=7)))
    first, second = engines.start_tracker(), engines.start_tracker()
    assert first is not second
    assert first.engine.network is second.engine.network
    assert first.objects == ()
    assert (first.internal_size, first.config.memorize_every) == (240, 7)


def test_one_tracker_can_have_settings_of_its_own() -> None:
    engines = Engines(CPU)
    assert engines.start_tracker(replace(CPU, internal_size=360)).internal_size == 360
    assert engines.start_tracker().internal_size == 240
    assert engines.settings == CPU


def test_models_and_devices_that_are_not_there_are_reported_in_words() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Engines(replace(CPU, click_model="no-such-model")).segmenter()
    with pytest.raises(ModelError, match="no-such-model"):
        Engines(replace(CPU, tracker_model="no-such-model")).start_tracker()
    with pytest.raises(UserError, match="not available"):
        Engines(replace(CPU, device="warp")).start_tracker()
    with pytest.raises(ValueError, match="internal_size"):
        EngineSettings(internal_size=3)


def test_the_bundled_models_start_without_what_only_others_need() -> None:
    """Each of these takes half a second to three."""
    code = (
        "import sys; from interaction.engines import Engines, EngineSettings\n"
        "engines = Engines(EngineSettings(device='cpu', internal_size=240))\n"
        "engines.segmenter(), engines.judge(), engines.start_tracker()\n"
        "slow = {'torchvision', 'torch._dynamo', 'scipy', 'transformers', 'cutie'}\n"
        "print(sorted(slow & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_session_can_be_imported_without_torch() -> None:
    """A window must not wait for it."""
    code = "import sys, interaction.session; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
