"""One frame of `analytics top`, from the facts of two moments. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cli.output import Column, Line, Row, Section, coloured, joined
from cli.top.facts import GroupFacts, PostgresFacts, RedisFacts, Sample
from cli.top.rates import UNKNOWN, Rate, rates, total
from runtime.errors import DependencyUnavailable
from stream.registry.chores import ChoreRecord

_MAX_ROWS: Final = 12
"""Rows of a table: those that matter most come first."""

_LATE_SECONDS: Final = 60
_NEARLY_FULL: Final = 0.8


def frame(previous: Sample | None, current: Sample) -> list[Section]:
    """Return the sections of a frame. Rates need a previous sample."""
    title = joined(coloured("analytics top", "bold"), f"  {current.at:%Y-%m-%d %H:%M:%S} UTC")
    return [Section([title]), *_redis(current, rates(previous, current)), *_postgres(current)]


def _redis(current: Sample, found: Mapping[tuple[int, str], Rate]) -> list[Section]:
    facts = current.redis
    if isinstance(facts, DependencyUnavailable):
        return [_unreachable("Redis", facts)]
    return [
        Section([_server(facts)]),
        _streams(facts, found),
        _workers(facts),
        _processes(facts),
        _chores(facts.chores, current.at),
    ]


def _server(facts: RedisFacts) -> Line:
    used, limit = facts.memory.used, facts.memory.limit
    of = f" of {_bytes(limit)}" if limit else ", no limit"
    parts: list[Line] = [
        _title("Redis"),
        "  memory ",
        coloured(f"{_bytes(used)}{of}", "red" if limit and used > _NEARLY_FULL * limit else ""),
        "" if facts.safety.is_safe else coloured("  accepted events are not safe: see analytics doctor", "red"),
        f"  replicas {facts.safety.replicas}" if facts.safety.replicas else "",
        f"  connections {facts.fleet.clients}" if facts.fleet else "",
    ]
    return joined(*parts)


def _streams(facts: RedisFacts, found: Mapping[tuple[int, str], Rate]) -> Section:
    columns = [
        Column("stream", wraps=False),
        Column("group", wraps=False),
        *(Column(name, is_number=True) for name in ("in/s", "out/s", "waiting", "in hand", "behind", "oldest")),
        *(Column(name, is_number=True) for name in ("window", "size")),
    ]
    ordered = sorted(facts.groups, key=lambda one: (-one.lag.seconds, one.partition, one.group != "store"))
    rows = [_stream(one, facts, found.get((one.partition, one.group), UNKNOWN)) for one in ordered[:_MAX_ROWS]]
    for group in sorted({one.group for one in facts.groups}, reverse=True):
        members = [one for one in facts.groups if one.group == group]
        if len(members) > 1:
            rows.append(_total(group, members, found))
    return Section([], columns, rows)


def _stream(one: GroupFacts, facts: RedisFacts, rate: Rate) -> Row:
    extent = facts.extents[one.partition]
    return Row(
        [
            str(one.partition),
            one.group,
            _number(rate.appended),
            _number(rate.settled),
            "unknown" if one.lag.undelivered is None else f"{one.lag.undelivered:,}",
            f"{one.lag.pending:,}",
            coloured(_seconds(one.lag.seconds), "red" if one.lag.seconds > _LATE_SECONDS else ""),
            _seconds(one.lag.pending_seconds) if one.lag.pending else "-",
            "-" if extent.window is None else _age(extent.window),
            _bytes(extent.size_bytes),
        ]
    )


def _total(group: str, members: Sequence[GroupFacts], found: Mapping[tuple[int, str], Rate]) -> Row:
    rate = total(found.get((one.partition, one.group), UNKNOWN) for one in members)
    undelivered = [one.lag.undelivered for one in members]
    known = [number for number in undelivered if number is not None]
    waiting = f"{sum(known):,}" if len(known) == len(members) else "unknown"
    pending = sum(one.lag.pending for one in members)
    behind = max(one.lag.seconds for one in members)
    cells = ["all", group, _number(rate.appended), _number(rate.settled), waiting, f"{pending:,}", _seconds(behind)]
    return Row([*cells, "", "", ""], style="bold")


def _workers(facts: RedisFacts) -> Section:
    if not facts.workers:
        return Section([joined(_title("Workers"), coloured("  none has read a stream", "red"))])
    ordered = sorted(facts.workers, key=lambda one: (-one.pending, one.idle, one.name))
    columns = [
        Column("worker", wraps=False),
        Column("group", wraps=False),
        *(Column(name, is_number=True) for name in ("streams", "in hand", "idle")),
    ]
    rows = [Row([one.name, one.group, str(one.partitions), f"{one.pending:,}", _age(one.idle)]) for one in ordered]
    return Section([], columns, [*rows[:_MAX_ROWS], *_more(len(rows))])


def _processes(facts: RedisFacts) -> Section:
    if facts.fleet is None:
        return Section([joined(_title("Processes"), "  this login lacks the right to CLIENT LIST (+client|list)")])
    roles = sorted({(one.role, one.release) for one in facts.fleet.services})
    counts = [
        f"{sum((one.role, one.release) == kind for one in facts.fleet.services)} {kind[0]} {kind[1]}" for kind in roles
    ]
    return Section([joined(_title("Processes"), f"  {', '.join(counts) or 'none'}")])


def _chores(records: Sequence[ChoreRecord] | None, now: datetime) -> Section:
    if records is None:
        return Section([joined(_title("Chores"), coloured("  no process reports them", "red"))])
    late = [one for one in records if one.is_overdue(now)]
    failing = [one for one in records if one.failed_at and one.failed_at > (one.succeeded_at or one.since)]
    newest = max((one.succeeded_at for one in records if one.succeeded_at), default=None)
    line = joined(
        _title("Chores"),
        f"  {len(records)}, last success {_ago(newest, now)}",
        coloured(f", {len(late)} overdue", "red") if late else "",
        coloured(f", {len(failing)} failing", "red") if failing else "",
    )
    shown = sorted({one.name: one for one in [*late, *failing]}.values(), key=lambda one: one.name)
    if not shown:
        return Section([line])
    columns = [
        Column("chore", wraps=False),
        Column("every", is_number=True),
        Column("success", is_number=True),
        Column("last error"),
    ]
    rows = [Row([one.name, _age(one.every), _ago(one.succeeded_at, now), one.error or "-"]) for one in shown]
    return Section([line], columns, [*rows[:_MAX_ROWS], *_more(len(rows))])


def _postgres(current: Sample) -> list[Section]:
    facts = current.postgres
    if isinstance(facts, DependencyUnavailable):
        return [_unreachable("Postgres", facts)]
    return [Section([_connections(facts), _leader(facts), *_errors(facts, current.at)])]


def _connections(facts: PostgresFacts) -> Line:
    used, limit = facts.usage.connections, facts.usage.connections_limit
    by_name = [f"{name or 'unnamed'} {count}" for name, count in facts.applications.items()]
    return joined(
        _title("Postgres"),
        "  ",
        coloured(f"{used} of {limit} connections", "red" if used > _NEARLY_FULL * limit else ""),
        f": {', '.join(by_name)}" if by_name else "",
    )


def _leader(facts: PostgresFacts) -> Line:
    oldest = facts.usage.oldest_transaction
    return joined(
        _title("Maintenance"),
        "  a process leads" if facts.is_led else coloured("  nobody leads", "red"),
        "" if oldest is None else f"   oldest transaction {_age(oldest)}",
    )


def _errors(facts: PostgresFacts, now: datetime) -> list[Line]:
    letters = [f"{count:,} {reason}" for reason, count in sorted(facts.dead_letters.items())]
    parked = (
        coloured(f"  {', '.join(letters)}, the last {_ago(facts.last_parked_at, now)}", "red") if letters else "  none"
    )
    erasures = facts.erasures_open_since
    open_for = f"  {len(erasures)} open for up to {_age(now - min(erasures))}" if erasures else "  none open"
    return [joined(_title("Dead letters"), parked), joined(_title("Erasures"), open_for)]


def _unreachable(server: str, error: DependencyUnavailable) -> Section:
    return Section([joined(_title(server), coloured(f"  {error}", "red"))])


def _title(text: str) -> Line:
    return coloured(text, "bold")


def _more(rows: int) -> list[Row]:
    return [Row([f"and {rows - _MAX_ROWS} more"])] if rows > _MAX_ROWS else []


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else _age(timedelta(seconds=seconds))


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{_age(max(now - moment, timedelta(0)))} ago"


def _age(age: timedelta) -> str:
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if age >= 2 * length:
            return f"{age / length:.0f} {unit}"
    return f"{age.total_seconds():.0f} s"


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
