"""Every advisory lock of this system."""

from __future__ import annotations

from typing import Final

MIGRATION_LOCK: Final = 7_205_759_403_792_793_601
"""Held while the schema is migrated."""

BATCH_LOCK: Final = 7_205_759_403_792_793_602
"""Shared for batches and for code that relies on their commits; exclusive for code that recomputes aggregates."""

SUMMARY_LOCK: Final = 7_205_759_403_792_793_606
"""Held while the hourly summary is refreshed, and by code that removes active users of its hours.

Take it before the batch lock: workers wait behind whoever waits for that one, and a refresh may take minutes.
"""

LEADER_LOCK: Final = 7_205_759_403_792_793_603
"""Held by the session of the leading maintenance process."""

LEADER_LOCK_ROW: Final = f"""
locktype = 'advisory' AND granted AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32 | objid::bigint) = {LEADER_LOCK}
"""
"""SQL condition for the row of `pg_locks` of the session that holds it."""

REMOVAL_LOCK: Final = 7_205_759_403_792_793_604
"""Held by a session while a partition is removed, which takes several transactions."""

MAPPING_LOCK: Final = 7_205_759_403_792_793_605
"""Held by batches with mapped ids, while `unscoped_event_ids` has its row.

It is exclusive if one of the events may have come from ingest of the previous release. Otherwise two concurrent batches
could store one event under both of its ids, which no unique index detects.
"""
