"""A comparison: the same job as a straightforward FastAPI service, a Redis stream through FastStream, and Postgres.

It validates, pseudonymizes the user id, and stores each event once. It has no aggregates, no books, no search for
personal data, no dead letters, and no backpressure.
"""
