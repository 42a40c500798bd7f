"""Plug-ins: models of this and of other packages, found by their entry points.

What an entry point must name is described in docs/plugins.md. Nothing that a plug-in does while it
is loaded ends the program: what is wrong with it is kept as a text, for `doctor` and the Models
window.
"""

import functools
import logging
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from xmem_core.messages import Message

Group = Literal["xmem_annotate.click_models", "xmem_annotate.trackers"]
CLICK_MODELS: Final[Group] = "xmem_annotate.click_models"
TRACKERS: Final[Group] = "xmem_annotate.trackers"
GROUPS: Final[tuple[Group, ...]] = (CLICK_MODELS, TRACKERS)

# As `pyproject.toml` declares them, so that a copy that was never installed, or was updated after
# it, has them too. A test compares the two.
OWN: Final[dict[Group, dict[str, str]]] = {
    CLICK_MODELS: {
        "small-clicks": "interaction.model_plugins:SMALL_CLICKS",
        "f-brs": "interaction.model_plugins:F_BRS",
        "s2m": "interaction.model_plugins:S2M",
        "sam2": "interaction.model_plugins:SAM2",
    },
    TRACKERS: {
        "xmem": "interaction.model_plugins:XMEM",
        "cutie": "interaction.model_plugins:CUTIE",
    },
}

_OWN_PACKAGE: Final = "xmem-annotate"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point, loaded."""

    group: Group
    name: str
    package: str  # that brings it, with its version
    provider: Any  # what the entry point names; None if it could not be loaded
    problem: str = ""  # why it cannot be used; "" if it can

    @property
    def is_own(self) -> bool:
        """Whether it comes with the program."""
        return self.package == _OWN_PACKAGE


@functools.cache
def plugins() -> tuple[Plugin, ...]:
    """Every plug-in, the program's own first. Looked for once in a process."""
    own = [EntryPoint(name, value, group) for group in GROUPS for name, value in OWN[group].items()]
    values = {(entry.group, entry.name, entry.value) for entry in own}
    others = [
        entry
        for group in GROUPS
        for entry in entry_points(group=group)
        if (group, entry.name, entry.value) not in values
    ]
    found = [_loaded(entry) for entry in own]
    for entry in others:
        is_taken = any(entry.name in OWN[group] for group in GROUPS)
        found.append(_loaded(entry, is_taken=is_taken))
    return tuple(found)


def _loaded(entry: EntryPoint, *, is_taken: bool = False) -> Plugin:
    group: Group = CLICK_MODELS if entry.group == CLICK_MODELS else TRACKERS
    package = _OWN_PACKAGE
    if entry.dist is not None:
        package = f"{entry.dist.name} {entry.dist.version}"
    if is_taken:
        taken = Message("“{name}” is the name of a plug-in of the program itself", name=entry.name)
        return Plugin(group, entry.name, package, None, taken)
    try:
        return Plugin(group, entry.name, package, entry.load())
    except (Exception, SystemExit) as error:  # code of other people
        log.warning("the plug-in %s of %s cannot be loaded", entry.value, package, exc_info=True)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Plugin(
            group,
            entry.name,
            package,
            None,
            Message("{name} cannot be loaded: {reason}", name=entry.value, reason=reason),
        )
