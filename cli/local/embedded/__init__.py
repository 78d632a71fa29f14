"""Real Valkey and PostgreSQL as child processes, for machines without them: `analytics up` and tests.

Services do not import this package: they connect to URLs.
"""
