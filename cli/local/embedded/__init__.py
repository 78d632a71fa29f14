"""Real Valkey and PostgreSQL as child processes, for one machine without any: `analytics up` and tests.

Never imported by a service: a service is given URLs and does not know who runs the servers.
"""
