"""Build the application folder with PyInstaller, and try it.

    python -m pip install . pyinstaller
    python packaging/build_app.py [--output dist] [--no-build]

In an environment whose torch has no CUDA the folder is much smaller; docs/installing.md says how to
get one. The smoke test starts the built program without a screen: it opens the window on the
sample, clicks, and tracks three frames; then the command line tracks the sample, too. Fails if
anything does not happen, or with --limit if the window takes longer than three seconds.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGING = Path(__file__).parent
START_UP_LIMIT_S = 3.0
TIMEOUT_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("dist"))
    parser.add_argument("--no-build", action="store_true", help="only try what was built before")
    parser.add_argument("--limit", action="store_true", help="a slow start fails, too")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    if not arguments.no_build:
        build(output)
    folder = output / "xmem-annotate"
    size_bytes = sum(one.stat().st_size for one in folder.rglob("*") if not one.is_symlink())
    start_up_s = try_out(folder)
    print(f"{folder}: {size_bytes / 1e9:.2f} GB, window after {start_up_s:.2f} s")
    if arguments.limit and start_up_s > START_UP_LIMIT_S:
        sys.exit(f"The window takes longer than {START_UP_LIMIT_S:g} s.")


def build(output: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        line = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
        line += [
            "--distpath",
            str(output),
            "--workpath",
            work,
            str(PACKAGING / "xmem-annotate.spec"),
        ]
        subprocess.run(line, check=True)
    if sys.platform.startswith("linux"):
        desktop = output / "xmem-annotate" / "desktop"
        shutil.copytree(PACKAGING / "linux", desktop, dirs_exist_ok=True)


def try_out(folder: Path) -> float:
    """Seconds from starting the program to its window; of the second start, as the first one reads
    everything from the disk."""
    program = folder / ("xmem-annotate.exe" if sys.platform == "win32" else "xmem-annotate")
    with tempfile.TemporaryDirectory() as home:
        # Nothing of this person's settings, and no Python but the built one.
        kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "OMP_NUM_THREADS")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"HOME": home, "USERPROFILE": home, "QT_QPA_PLATFORM": "offscreen"}

        def run(*line: str) -> str:
            began = time.monotonic()
            done = subprocess.run(
                [str(program), *line],
                cwd=home,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                timeout=TIMEOUT_S,
                check=False,
            )
            print(f"xmem-annotate {' '.join(line)}: {time.monotonic() - began:.1f} s")
            if done.returncode:
                sys.exit(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
            return done.stdout

        found: dict[str, dict[str, str]] = {}
        for _ in range(2):
            findings = json.loads(run("doctor", "--window", "--no-speed-test", "--json"))
            found = {one["topic"]: one for one in findings}
        print(found["trial"]["text"])
        listed = json.loads(run("models", "list", "--json"))
        if not {"small", "small-clicks", "XMem"} <= {one["name"] for one in listed}:
            sys.exit("the built program does not know its models")
        line = ("propagate", "sample", "--output", "masks", "--end", "2", "--internal-size", "240")
        if json.loads(run(*line, "--json"))["frames"] != 3:
            sys.exit("the built program has not tracked three frames")
        seconds = re.search(r"window after ([\d.]+) s", found["trial"]["text"])
        return float(seconds[1]) if seconds else float("nan")


if __name__ == "__main__":
    main()
