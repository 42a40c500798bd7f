"""The tracking engine: frames and masks in, probabilities out. It opens no file but weights.

Names are imported when they are first used: importing torch takes seconds, and a caller
that needs an error class or help on the command line should not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xmem_core.config import MemoryConfig
    from xmem_core.device import best_device
    from xmem_core.messages import UserError
    from xmem_core.network.config import NetworkConfig
    from xmem_core.network.inference import prepare
    from xmem_core.network.xmem import XMem
    from xmem_core.pictures import EncodedFrame, Prediction
    from xmem_core.tracker import Tracker
    from xmem_core.weights import load_xmem

__all__ = [
    "EncodedFrame",
    "MemoryConfig",
    "NetworkConfig",
    "Prediction",
    "Tracker",
    "UserError",
    "XMem",
    "best_device",
    "load_xmem",
    "prepare",
]

_HOMES = {
    "EncodedFrame": "xmem_core.pictures",
    "MemoryConfig": "xmem_core.config",
    "NetworkConfig": "xmem_core.network.config",
    "Prediction": "xmem_core.pictures",
    "Tracker": "xmem_core.tracker",
    "UserError": "xmem_core.messages",
    "XMem": "xmem_core.network.xmem",
    "best_device": "xmem_core.device",
    "load_xmem": "xmem_core.weights",
    "prepare": "xmem_core.network.inference",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
