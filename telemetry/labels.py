"""The values of metric labels.

Each enum types the calls that count and declares the series that start at zero, so both have the same values.
"""

from __future__ import annotations

from enum import StrEnum


class IngestOutcome(StrEnum):
    """Outcome of an event sent to ingest."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"


class SegmentOutcome(StrEnum):
    """Outcome of a call of a Segment client."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"
    UNKNOWN_EVENT = "unknown_event"
    IGNORED = "ignored"


class TextOutcome(StrEnum):
    """Outcome of a text that could name a person."""

    REJECTED = "rejected"
    PERSONAL_DATA = "personal_data"
    ENDPOINT_TEMPLATE = "endpoint_template"


class BackpressureReason(StrEnum):
    """Why ingest answers 429 or 503."""

    QUEUE_FULL = "queue_full"
    STREAM_UNAVAILABLE = "stream_unavailable"
    NOT_DURABLE = "not_durable"
    MEMORY_SHORT = "memory_short"
    STREAM_FULL = "stream_full"
    BACKLOG_FULL = "backlog_full"
    RATE_LIMITED = "rate_limited"
    KEYS_UNAVAILABLE = "keys_unavailable"
    ERASURES_UNKNOWN = "erasures_unknown"


class AuthenticationFailure(StrEnum):
    """Why credentials were refused."""

    INVALID_KEY = "invalid_key"
    INVALID_CREDENTIALS = "invalid_credentials"
    TOO_MANY_FAILURES = "too_many_failures"


class ConnectionRefusal(StrEnum):
    """Why a connection was refused, or closed to make room."""

    TOTAL = "total"
    ADDRESS = "address"
    IDLE_CLOSED = "idle_closed"
    DESCRIPTORS = "descriptors"


class CertificateLoad(StrEnum):
    """Whether the files of the certificate could be used."""

    LOADED = "loaded"
    REFUSED = "refused"


class GroupKind(StrEnum):
    """Kind of a consumer group."""

    STORE = "store"
    LIVE = "live"
    OTHER = "other"
    """Groups of other systems."""
    IGNORED = "ignored"
    """Groups of other systems that trimming does not wait for."""


class StoreResult(StrEnum):
    """Result of an entry in the store group."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"
    DEAD_LETTERED = "dead_lettered"
    REDELIVERED = "redelivered"


class LiveResult(StrEnum):
    """Result of an entry in the live workers."""

    PUBLISHED = "published"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"
    REDELIVERED = "redelivered"


class BatchStage(StrEnum):
    """Stage of a batch in a worker."""

    READ = "read"
    DECODE = "decode"
    WRITE = "write"
    ACK = "ack"
    PUBLISH = "publish"


class DeadLetterReason(StrEnum):
    """Why an entry was parked."""

    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    INVALID_TEXT = "invalid_text"
    EVENT_ID_TIME_OUT_OF_RANGE = "event_id_time_out_of_range"
    BEFORE_RETENTION_HORIZON = "before_retention_horizon"
    REJECTED_BY_DATABASE = "rejected_by_database"


class IdDifference(StrEnum):
    """The difference between an event and the stored event with the same id."""

    EVENT_TYPE = "event_type"
    LEARNER = "learner"


class ChoreOutcome(StrEnum):
    """How a maintenance chore ended."""

    OK = "ok"
    FAILED = "failed"


class KeyState(StrEnum):
    """Whether a key of the JWKS can be used."""

    USED = "used"
    SKIPPED = "skipped"


class PoolState(StrEnum):
    """Whether a connection of a pool is in use."""

    IDLE = "idle"
    USED = "used"


class ErasureStore(StrEnum):
    """Where bytes of erased learners may remain."""

    REDIS = "redis"
    POSTGRES = "postgres"


class LiveTransport(StrEnum):
    """How live events are sent."""

    WEBSOCKET = "websocket"
    SSE = "sse"


class Server(StrEnum):
    """A server that all processes share."""

    REDIS = "redis"
    POSTGRES = "postgres"
