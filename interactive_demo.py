"""Start the annotation tool: `python interactive_demo.py`, the same program as `xmem-annotate`."""

from interaction.command_line.app import main

if __name__ == "__main__":
    main()
