"""Proofs that nothing is lost and nothing gets in: `python -m benchmarks.durability --help`."""
