"""The same job as a Python team would write it in an afternoon: FastAPI, a Redis stream through FastStream, Postgres.

It validates, replaces the user's id, and stores each event once. It keeps no aggregates and no books, looks for no
personal data, parks nothing, and does not say when it falls behind.
"""
