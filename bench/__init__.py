"""Benchmarks. The product imports nothing from here."""
