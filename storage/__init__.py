"""Postgres: raw events, aggregates, books. The only package that imports asyncpg."""
