"""Runs one proof and prints its figures; the exit status is 1 if anything was lost.

    python -m benchmarks.durability power-cut [--count 200]      edits, cut after every call
    python -m benchmarks.durability failing-calls [--count 60]   edits for each kind of error
    python -m benchmarks.durability full-disk [--count 30]       fillings
    python -m benchmarks.durability kill [--count 200]           kills of a script that edits
    python -m benchmarks.durability kill-window [--count 200]    kills of the window
    python -m benchmarks.durability two-programs [--count 40]    openings by each of three programs
    python -m benchmarks.durability fuzz-text [--count 20000]    damaged text files
    python -m benchmarks.durability fuzz-binary [--count 5000]   damaged weights, masks and indexes
    python -m benchmarks.durability lying-server                 answers of a server that lies
    python -m benchmarks.durability soak [--count 7200]          seconds in the window

A project of 20,000 frames is measured by `python -m benchmarks.project --frames 20000`.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.durability import saving
from benchmarks.durability.saving import Result


def _proofs() -> dict[str, tuple[int, Callable[[Path, int], Result]]]:
    from benchmarks.durability import inputs, window

    return {
        "power-cut": (200, saving.power_cuts),
        "failing-calls": (60, saving.failing_calls),
        "full-disk": (30, saving.full_disk),
        "kill": (200, saving.kills),
        "kill-window": (200, window.kills),
        "two-programs": (40, saving.two_programs),
        "fuzz-text": (20_000, inputs.fuzz_text),
        "fuzz-binary": (5_000, inputs.fuzz_binary),
        "lying-server": (1, inputs.lying_server),
        "soak": (7_200, window.soak),
    }


def main() -> None:
    proofs = _proofs()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.durability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("proof", choices=list(proofs))
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="the disk to work on")
    options = parser.parse_args()
    count, proof = proofs[options.proof]
    logging.disable()  # what is made to fail would be logged each time
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = proof(Path(folder), count if options.count is None else options.count)
    result.figures["seconds"] = round(time.monotonic() - start_s, 1)
    lines = [f"{name:28} {number:>10g}" for name, number in result.figures.items()]
    lines += [f"FAULT: {fault}" for fault in result.faults[:20]]
    lines.append(f"{len(result.faults)} faults")
    print("\n".join(lines))
    sys.exit(1 if result.faults else 0)


if __name__ == "__main__":
    main()
