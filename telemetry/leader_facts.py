"""Every metric of the leader of maintenance, by the chore that measures it. See `telemetry/leader_gauge.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from telemetry.leader_gauge import LeaderGauge, LeaderTerm
from telemetry.metrics import registry

TERM: Final = LeaderTerm()
"""The leadership of this process."""

_GROUP: Final = ("stream", "consumer_group")


def _gauge(chore: str | None, name: str, documentation: str, labels: Sequence[str] = ()) -> LeaderGauge:
    return LeaderGauge(TERM, name, documentation, labels, chore=chore, registry=registry)


CHORE_SUCCESS = _gauge(
    None,
    "analytics_maintenance_last_success_timestamp_seconds",
    "Unix time of the last success of a chore; 0 if it has not succeeded since this process leads.",
    ["chore"],
)
CHORE_INTERVAL = _gauge(
    None, "analytics_maintenance_interval_seconds", "Time between the end of a chore and its next run.", ["chore"]
)

LAG_ENTRIES = _gauge(
    "measure_lag",
    "analytics_consumer_lag_entries",
    "Entries not delivered to a group yet; NaN if Redis does not report them.",
    _GROUP,
)
LAG_SECONDS = _gauge(
    "measure_lag", "analytics_consumer_lag_seconds", "Age of the oldest entry that a group has not settled.", _GROUP
)
LAG_KNOWN = _gauge("measure_lag", "analytics_consumer_lag_known", "1 if Redis reports the lag, else 0.", _GROUP)
PENDING_ENTRIES = _gauge(
    "measure_lag",
    "analytics_consumer_pending_entries",
    "Entries delivered to a worker and not settled.",
    _GROUP,
)
OLDEST_PENDING = _gauge(
    "measure_lag",
    "analytics_consumer_oldest_pending_seconds",
    "Age of the oldest entry delivered to a worker and not settled; 0 if there is none.",
    _GROUP,
)
GROUP_CONSUMERS = _gauge(
    "measure_lag",
    "analytics_consumer_group_consumers",
    "Consumers of a group, including those of processes that ended in the last hour.",
    _GROUP,
)
OLDEST_NEEDED = _gauge(
    "measure_lag",
    "analytics_stream_group_oldest_needed_seconds",
    "Age of the oldest entry that groups of a kind need.",
    _GROUP,
)
STREAM_LENGTH = _gauge(
    "measure_lag", "analytics_stream_length_entries", "Entries in the stream, including settled ones.", ["stream"]
)
STREAM_MEMORY = _gauge("measure_lag", "analytics_redis_memory_bytes", "Memory that Redis uses.")
STREAM_MEMORY_LIMIT = _gauge(
    "measure_lag", "analytics_redis_memory_limit_bytes", "Memory that Redis may use; 0: no limit."
)

STREAM_BYTES = _gauge("measure_streams", "analytics_stream_bytes", "Memory of a stream.", ["stream"])
STREAM_WINDOW = _gauge(
    "measure_streams",
    "analytics_stream_window_seconds",
    "Age of the oldest entry of a stream: how far back a replay can reach. No series for an empty stream.",
    ["stream"],
)
REDIS_SAFE = _gauge(
    "measure_streams",
    "analytics_redis_safe",
    "1 if Redis is a primary without eviction and its append-only file is on and written, else 0.",
)
REDIS_REPLICAS = _gauge("measure_streams", "analytics_redis_replicas", "Replicas connected to Redis.")
CLOCK_SKEW = _gauge(
    "measure_clocks",
    "analytics_clock_skew_seconds",
    "By how much the clock of a server is ahead of the leader's (negative: behind), at least.",
    ["server"],
)

BOOKS_ENTRIES = _gauge(
    "measure_books",
    "analytics_books_entries",
    "Entries ever appended to a stream, and how many of them have each fate.",
    ["stream", "fate"],
)
BOOKS_IMBALANCE = _gauge(
    "measure_books",
    "analytics_books_imbalance_entries",
    "Entries without exactly one fate. No series while Redis does not report how many are settled.",
    ["stream"],
)

VERIFY_DRIFT = _gauge(
    "measure_database",
    "analytics_verify_drift_rows",
    "Rows of an aggregate that differed from the raw events when they were compared last.",
    ["table"],
)
VERIFY_SUCCESS = _gauge(
    "measure_database",
    "analytics_verify_last_success_timestamp_seconds",
    "Unix time at which everything that was due was compared. No series before the first time.",
)

DEAD_LETTERS_WAITING = _gauge(
    "measure_database", "analytics_dead_letters_waiting", "Dead letters that were not retried, by reason.", ["reason"]
)
ERASURES_OPEN = _gauge("measure_database", "analytics_erasures_open", "Erasures that are not finished.")
ERASURE_OLDEST = _gauge(
    "measure_database", "analytics_erasure_oldest_seconds", "Age of the oldest open erasure; 0 if there is none."
)
API_KEY_EXPIRY = _gauge(
    "measure_database",
    "analytics_api_key_next_expiry_timestamp_seconds",
    "Unix time at which the next issued API key expires. No series if none does.",
)
DATABASE_CONNECTIONS = _gauge(
    "measure_database", "analytics_database_connections", "Connections of clients to the Postgres server."
)
DATABASE_CONNECTIONS_LIMIT = _gauge(
    "measure_database",
    "analytics_database_connections_limit",
    "Connections that the Postgres server allows to logins that are not superusers.",
)
DATABASE_OLDEST_TRANSACTION = _gauge(
    "measure_database",
    "analytics_database_oldest_transaction_seconds",
    "Age of the oldest open transaction of the database; 0 if there is none. No series without pg_read_all_stats.",
)
DATABASE_REPLICA_LAG = _gauge(
    "measure_database",
    "analytics_database_replica_lag_seconds",
    "Age of the newest change that a connected replica of Postgres has not replayed. No series without"
    " pg_read_all_stats.",
    ["replica"],
)
DATABASE_XID_AGE = _gauge(
    "measure_database",
    "analytics_database_xid_age_ratio",
    "Share of the transaction ids that are used since the last freeze; at 1 Postgres stops.",
)

DATABASE_BYTES = _gauge("measure_tables", "analytics_database_bytes", "Size of the database on disk.")
TABLE_BYTES = _gauge(
    "measure_tables",
    "analytics_table_bytes",
    "Size of a table on disk with its indexes and partitions.",
    ["table"],
)
TABLE_DEAD_RATIO = _gauge(
    "measure_tables",
    "analytics_table_dead_ratio",
    "Share of the rows of a table that are dead, by the statistics of Postgres.",
    ["table"],
)

RETENTION_OVERDUE = _gauge(
    "measure_retention",
    "analytics_retention_overdue_seconds",
    "How long ago the oldest row of a table should have been removed; 0 if it is not past its retention.",
    ["table"],
)

PARTITION_WEEKS_AHEAD = _gauge(
    "ensure_partitions", "analytics_partition_weeks_ahead", "Weeks for which raw partitions exist."
)
ERASURE_RESIDUE = _gauge(
    "measure_residue",
    "analytics_erasure_residue_seconds",
    "Age of the oldest erasure whose bytes remain in the files of a store; 0 if none do.",
    ["store"],
)
