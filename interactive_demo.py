"""Start the annotation tool: `python interactive_demo.py`, the same program as `xmem-annotate`.

Without a command it opens the window; with one, `xmem-annotate --help` lists them, it needs none.
"""

import os
import sys

from interaction.command_line.app import command_names
from interaction.command_line.app import main as run_command

_HELP = {"-h", "--help", "--install-completion", "--show-completion"}


def main() -> None:
    """Runs what the command line asks for and exits."""
    arguments = sys.argv[1:]
    if arguments and (arguments[0] in command_names() or arguments[0] in _HELP):
        run_command(arguments)
        return
    if not _has_display():
        sys.exit(
            "There is no display to open a window on; to track the sample without one, type: "
            "xmem-annotate propagate sample --output sample-masks"
        )
    from gui.window.app import main as open_window

    sys.exit(open_window(arguments[1:] if arguments[:1] == ["window"] else arguments))


def _has_display() -> bool:
    """Qt would end the program without a word that helps."""
    if not sys.platform.startswith("linux") or "QT_QPA_PLATFORM" in os.environ:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    main()
