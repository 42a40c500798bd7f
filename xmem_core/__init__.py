"""The tracking engine: frames and masks in, probabilities out. It opens no file but weights."""

from xmem_core.config import MemoryConfig
from xmem_core.device import best_device
from xmem_core.errors import UserError
from xmem_core.network.inference import prepare
from xmem_core.network.xmem import NetworkConfig, XMem
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
