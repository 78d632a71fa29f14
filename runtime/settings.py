"""All settings of all processes. The command line reads them from the environment once and passes them on."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.errors import ConfigurationError
from runtime.pseudonym import Pseudonymizer
from runtime.setting_values.api_keys import ApiKeySetting
from runtime.setting_values.encrypted_servers import require_encrypted_postgres, require_encrypted_redis
from runtime.setting_values.ignored_groups import split_names, validate_ignored_groups
from runtime.setting_values.origins import validate_origin
from runtime.setting_values.pseudonym_keys import parse_keys
from runtime.setting_values.secret_strength import require_strong
from runtime.setting_values.server_urls import PostgresUrl, RedisUrl, validate_redis_url
from runtime.setting_values.trusted_proxies import validate_proxies

STATEMENT_TIMEOUT = timedelta(seconds=20)
"""Maximum time of a statement of a batch. Entries are claimed only after more than a batch can take."""

Port = Annotated[int, Field(ge=0, le=65_535)]

Durability = Literal["memory", "server", "local", "replica"]
"""What must hold before an event counts as accepted. docs/operations.md describes what each level survives."""


SECRET_FIELDS = frozenset(
    {"redis_url", "redis_password", "database_url", "pseudonym_keys", "api_keys", "api_key_secret", "jwt_secret"}
)
"""Secret settings. A process gets only those that it needs."""


class Settings(BaseSettings):
    """The settings. The environment variable of a field is its alias, or ANALYTICS_ and its name."""

    model_config = SettingsConfigDict(
        env_prefix="ANALYTICS_", frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    environment: Literal["dev", "production"] = Field(
        "production", description="`production`, or `dev`, in which the read service serves its page."
    )
    build_commit: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._+-]{0,64}$",
        description="Commit that the process was built from, shown by `analytics_build_info`. The image sets it.",
    )

    redis_url: RedisUrl | None = Field(
        None,
        alias="REDIS_URL",
        description="URL of Redis, or `redis+sentinel://` with the sentinels that know it. Takes precedence over the "
        "`REDIS_*` parts.",
    )
    redis_host: str = Field("localhost", alias="REDIS_HOST", description="Host of Redis.")
    redis_port: Port = Field(6379, alias="REDIS_PORT", description="Port of Redis.")
    redis_db: int = Field(0, alias="REDIS_DB", ge=0, description="Database number in Redis.")
    redis_password: SecretStr | None = Field(None, alias="REDIS_PASSWORD", description="Password of Redis.")
    database_url: PostgresUrl | None = Field(
        None,
        alias="DATABASE_URL",
        description="URL of Postgres, with each host that may be the primary. Ingest and live workers need none.",
    )
    db_pool_size: int = Field(10, ge=1, description="Maximum Postgres connections of one process.")

    stream_partitions: int = Field(1, ge=1, le=1024, description="Streams that events are spread over, by learner.")
    stream_max_bytes: int = Field(
        2 * 1024**3,
        ge=1024**2,
        description="Memory of the streams above which stored entries are trimmed before their retention ends. Redis' "
        "`maxmemory` is the hard limit.",
    )
    trim_ignore_groups: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Consumer groups of other tools that trimming does not wait for. JSON list, or comma separated.",
    )
    max_backlog_events: int = Field(
        10_000_000, ge=0, description="Number of unstored events above which ingest refuses more. 0: no limit."
    )
    durability: Durability = Field(
        "server",
        description="What a 202 guarantees: `server` (as Redis is configured), `local` (on its disk), `replica` "
        "(also on a replica's disk), `memory`.",
    )
    event_retention_days: int = Field(7, ge=1, description="Days a stored event stays in Redis.")
    raw_retention_days: int = Field(
        90,
        ge=1,
        description="Days a raw event stays in Postgres. At least as long as in Redis. Older events are rejected.",
    )
    system_metrics_retention_days: int = Field(30, ge=1, description="Days the API health metrics are kept.")

    erasure_purge_seconds: float = Field(
        3_600,
        gt=0,
        le=86_400,
        description="Minimum time between two purges of the bytes that erasures leave in files, in seconds.",
    )

    audit_retention_days: int = Field(2_190, ge=30, description="Days the audit log is kept. HIPAA requires six years.")

    batch_size: int = Field(100, ge=1, le=100_000, description="Maximum events of one transaction.")
    flush_interval: float = Field(60, gt=0, description="Maximum seconds an event waits for its batch to fill.")
    flush_linger_ms: int = Field(
        50, ge=1, description="Time a batch gathers events while the stream has no backlog, in milliseconds."
    )
    claim_idle_seconds: float = Field(
        120, gt=0, description="Idle time after which a worker claims the pending entries of another one, in seconds."
    )
    dead_letter_max_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the last entries that a worker may park before it stops. 0: no limit.",
    )
    dead_letter_window: int = Field(1_000, ge=1, description="Number of last entries to which this share applies.")
    dead_letter_max_consecutive: int = Field(
        50, ge=0, description="Consecutive entries that a worker may park before it stops. 0: no limit."
    )

    live_history_events: int = Field(
        10_000,
        ge=1,
        description="Maximum live messages kept of each type, each for `ANALYTICS_EVENT_RETENTION_DAYS` at most.",
    )
    live_timeline_events: int = Field(
        100_000, ge=1, description="Maximum live messages kept of all types together, for subscribers that reconnect."
    )
    live_max_lag_seconds: float = Field(
        600, gt=0, description="Maximum age in seconds at which an event is still published. Older events are skipped."
    )
    live_max_subscribers: int = Field(2_000, ge=1, description="Maximum live connections of one process.")
    live_max_per_caller: int = Field(
        100, ge=0, description="Maximum live connections of one learner or key, in one process. 0: no limit."
    )
    live_max_per_address: int = Field(
        500,
        ge=0,
        description="Maximum live connections from one network address (IPv6: /64), in one process. 0: no limit.",
    )
    segment_mapping: str | None = Field(
        None, description="JSON file that maps other names of Segment events to event types. See docs/segment.md."
    )

    session_timeout_minutes: int = Field(
        30,
        ge=5,
        description="Minutes without an event that close a session. Longer gaps count as study time up to this.",
    )
    level_base_xp: int = Field(100, ge=1, description="XP from level 1 to level 2.")
    level_growth_xp: int = Field(100, ge=0, description="XP that each further level costs more than the one before.")
    min_group_size: int = Field(
        11, ge=1, description="Minimum group size. Figures about fewer learners are suppressed."
    )
    summary_refresh_seconds: float = Field(
        60, gt=0, le=86_400, description="Seconds between two refreshes of `hourly_analytics_summary`."
    )
    verify_hour: int = Field(
        3, ge=-1, le=23, description="Hour of the day (UTC) from which maintenance verifies the aggregates. -1: never."
    )

    pseudonym_keys: SecretStr | None = Field(
        None, description="Keys of learners' pseudonyms: `version:hex` of at least 32 bytes, comma separated."
    )
    api_keys: tuple[ApiKeySetting, ...] = Field(
        (),
        description="JSON list of `{source, key, scopes}`, optionally with `rate_limit_per_second` and "
        "`rate_limit_burst`.",
    )
    pii_actions: dict[str, Literal["reject", "redact", "hash"]] = Field(
        {},
        description="JSON object: `reject`, `redact` or `hash` for personal text in a property. Default: `reject`.",
    )
    pii_allow: dict[str, tuple[str, ...]] = Field(
        {},
        description="JSON object: for a property or `event_id`, regular expressions of ids that are not personal data. "
        "See docs/privacy.md.",
    )
    api_key_secret: SecretStr | None = Field(
        None, description="Secret under which issued keys are hashed, at least 32 bytes. Not set: none is accepted."
    )
    jwt_secret: SecretStr | None = Field(None, description="HS256 secret of learners' tokens, at least 32 bytes.")
    jwt_jwks: str | None = Field(
        None, description="File or https URL of the public keys (JWKS) of learners' tokens, instead of a secret."
    )
    jwt_issuer: str | None = Field(None, description="`iss` that learners' tokens must have. Not set: any.")
    jwt_audience: str | None = Field(None, description="`aud` that learners' tokens must have. Not set: none.")
    jwt_leeway_seconds: int = Field(
        30, ge=0, le=300, description="Tolerated seconds between our clock and the issuer's."
    )

    tls_cert_file: str | None = Field(
        None,
        description="Certificate (PEM) of ingest, read service and metrics; read again every minute. Not set: no TLS.",
    )
    tls_key_file: str | None = Field(None, description="Private key (PEM) of the certificate.")
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(validate_proxies)] = Field(
        (),
        description="JSON list of addresses or networks (/8 at most) of proxies whose X-Forwarded-For and -Proto are "
        "trusted.",
    )
    require_tls: bool = Field(
        False, description="Whether unencrypted connections are refused, from callers and to the servers."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may read answers with a learner's token. JSON list, or comma separated.",
    )

    max_connections: int = Field(
        10_000,
        ge=16,
        description="Maximum open connections of one process. Lowered at the start to what its limit on open files "
        "allows.",
    )
    max_connections_per_address: int | None = Field(
        None,
        ge=0,
        description="Maximum open connections from one network address (IPv6: /64), except trusted proxies. Not set: "
        "half of all. 0: no limit.",
    )

    drain_seconds: float = Field(
        5,
        ge=0,
        le=300,
        description="Seconds that ingest and the read service still answer after SIGTERM while `/readyz` fails, so "
        "that a load balancer notices. 0: they stop at once.",
    )

    ingest_host: str = Field("127.0.0.1", description="Address that ingest listens on.")
    ingest_port: Port = Field(8080, description="Port that ingest listens on.")
    dashboard_host: str = Field("127.0.0.1", description="Address that the read service listens on.")
    dashboard_port: Port = Field(8081, description="Port that the read service listens on.")
    metrics_host: str = Field("127.0.0.1", description="Address for metrics and health of workers and maintenance.")
    metrics_port: Port = Field(0, description="Port for metrics and health of workers and maintenance. 0: off.")

    failpoint: str | None = Field(
        None, description="For tests, in `dev` only: point at which the process kills itself: `runtime/failpoints.py`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: console on a terminal, else JSON."
    )

    @model_validator(mode="after")
    def _claims_wait_for_batches(self) -> Self:
        longest_batch = self.flush_interval + STATEMENT_TIMEOUT.total_seconds()
        if self.claim_idle_seconds <= longest_batch:
            raise ValueError(
                f"ANALYTICS_CLAIM_IDLE_SECONDS must exceed ANALYTICS_FLUSH_INTERVAL plus "
                f"{STATEMENT_TIMEOUT.total_seconds():.0f} s, otherwise workers claim batches that others still process"
            )
        return self

    @model_validator(mode="after")
    def _raw_events_outlive_their_entries(self) -> Self:
        if self.raw_retention_days < self.event_retention_days:
            raise ValueError(
                f"ANALYTICS_RAW_RETENTION_DAYS ({self.raw_retention_days}) must be at least"
                f" ANALYTICS_EVENT_RETENTION_DAYS ({self.event_retention_days}): otherwise the stream keeps"
                " entries whose raw events are removed; raise the first or lower the second"
            )
        return self

    @field_validator("redis_url", "database_url", mode="before")
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _parts_make_a_url(self) -> Self:
        try:
            validate_redis_url(self._redis_url)
        except ValueError as fault:
            raise ValueError(f"REDIS_HOST, REDIS_PORT and REDIS_DB are not a valid address: {fault}") from None
        return self

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_named(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(validate_origin(origin) for origin in origins if origin)

    @field_validator("trim_ignore_groups", "cors_origins", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return split_names(value) if isinstance(value, str) else value

    @field_validator("trim_ignore_groups")
    @classmethod
    def _own_groups_are_waited_for(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        return validate_ignored_groups(groups)

    @model_validator(mode="after")
    def _only_tests_die_on_purpose(self) -> Self:
        if self.failpoint is not None and self.environment != "dev":
            raise ValueError("ANALYTICS_FAILPOINT is for tests; unset it, or set ANALYTICS_ENVIRONMENT=dev")
        return self

    @model_validator(mode="after")
    def _learners_have_one_kind_of_key(self) -> Self:
        if self.jwt_secret is not None and self.jwt_jwks is not None:
            raise ValueError("set ANALYTICS_JWT_SECRET or ANALYTICS_JWT_JWKS, not both")
        return self

    @property
    def redis_dsn(self) -> str:
        """The URL of Redis, from REDIS_URL or its parts. Raises ConfigurationError if it lacks required TLS."""
        if self.require_tls:
            require_encrypted_redis(self._redis_url)
        return self._redis_url

    @property
    def _redis_url(self) -> str:
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        login = f":{quote(self.redis_password.get_secret_value(), safe='')}@" if self.redis_password else ""
        return f"redis://{login}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    @property
    def database_dsn(self) -> str:
        """The URL of Postgres. Raises ConfigurationError if it is not set or lacks required TLS."""
        if self.database_url is None:
            raise ConfigurationError("DATABASE_URL is not set; give the URL of a Postgres database")
        url = self.database_url.get_secret_value()
        if self.require_tls:
            require_encrypted_postgres(url)
        return url

    @property
    def needs_append_only_file(self) -> bool:
        """Whether ingest refuses events if Redis has no append-only file."""
        return self.environment == "production" and self.durability != "memory"

    @property
    def event_retention(self) -> timedelta:
        """Time a stored event stays in Redis."""
        return timedelta(days=self.event_retention_days)

    @property
    def raw_retention(self) -> timedelta:
        """Time a raw event stays in Postgres."""
        return timedelta(days=self.raw_retention_days)

    @property
    def system_metrics_retention(self) -> timedelta:
        """Time the API health metrics are kept."""
        return timedelta(days=self.system_metrics_retention_days)

    @property
    def erasure_purge(self) -> timedelta:
        """Minimum time between two purges of the bytes that erasures leave in files."""
        return timedelta(seconds=self.erasure_purge_seconds)

    @property
    def audit_retention(self) -> timedelta:
        """Time the audit log is kept."""
        return timedelta(days=self.audit_retention_days)

    def pseudonymizer(self) -> Pseudonymizer:
        """Return the pseudonymizer of learners. Raises ConfigurationError without a strong key."""
        if self.pseudonym_keys is None:
            raise ConfigurationError(
                "ANALYTICS_PSEUDONYM_KEYS is not set; make one with `openssl rand -hex 32`, set 1:<it>"
            )
        keys = parse_keys(self.pseudonym_keys.get_secret_value())
        for key in keys.values():
            self._strong("ANALYTICS_PSEUDONYM_KEYS", key)
        return Pseudonymizer(keys)

    def issued_key_secret(self) -> bytes | None:
        """Return the secret under which issued keys are hashed; None without one. Raises ConfigurationError if weak."""
        if self.api_key_secret is None:
            return None
        return self._strong("ANALYTICS_API_KEY_SECRET", self.api_key_secret.get_secret_value().encode())

    def learner_secret(self) -> str | None:
        """Return the HS256 secret of learners' tokens; None without one. Raises ConfigurationError if weak."""
        if self.jwt_secret is None:
            return None
        return self._strong("ANALYTICS_JWT_SECRET", self.jwt_secret.get_secret_value().encode()).decode()

    def _strong(self, name: str, secret: bytes) -> bytes:
        return require_strong(name, secret, dev=self.environment == "dev")
