"""Start the annotation tool: `python interactive_demo.py`, the same program as `xmem-annotate`.

Without a command it opens the window; `xmem-annotate --help` lists the commands.
"""

from interaction.command_line.app import COMMANDS
from interaction.command_line.app import main as run

COMMANDS.update(window="gui.window.arguments:window", doctor="gui.doctor:doctor")


def main() -> None:
    """Runs what the command line asks for and exits."""
    run()


if __name__ == "__main__":
    main()
