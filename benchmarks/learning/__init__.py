"""A small policy that a lab could train on delivered columns: what ``benchmarks.learn`` measures a generator with."""
