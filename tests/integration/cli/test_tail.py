"""`analytics tail` as used in a terminal, with a scripted service."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from cli.local import dev_file
from tests.support.commands import command_line
from tests.support.scripted_live import Refusal, Script, ScriptedLive, Visit, message
from tests.support.waiting import eventually

COLOUR = "\x1b["
NOTHING: Mapping[str, str] = {}


class Tail:
    """A running command."""

    def __init__(self, process: asyncio.subprocess.Process, screen: Path) -> None:
        self._process = process
        self._screen = screen

    @property
    def shown(self) -> str:
        return self._screen.read_text()

    async def shows(self, text: str) -> None:
        await eventually(lambda: text in self.shown or self._process.returncode is not None)
        assert text in self.shown

    async def interrupted(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> int:
        return await self._process.wait()


@asynccontextmanager
async def tailing(
    place: Path, *arguments: str, environment: Mapping[str, str] = NOTHING, stdout: int | None = None
) -> AsyncIterator[Tail]:
    screen = place / "screen"
    with screen.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command_line("tail", *arguments),
            env={"PYTHONWARNINGS": "error", "TERM": "xterm-256color", **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file if stdout is None else stdout,
            stderr=file,
        )
    yield Tail(process, screen)
    if process.returncode is None:
        process.kill()
    await process.wait()


def publishing(*numbers: int, then: int | None = None) -> Script:
    """Publish events, then close with this code; None: stay open until the client disconnects."""

    async def play(visit: Visit) -> None:
        await visit.welcome(1)
        await visit.publish(*numbers)
        await (visit.stay() if then is None else visit.close(then))

    return play


def reader(live: ScriptedLive) -> dict[str, str]:
    return {"ANALYTICS_DASHBOARD_URL": live.url, "ANALYTICS_READ_KEY": "the-key"}


async def test_events_are_lines_until_ctrl_c(tmp_path: Path) -> None:
    async with (
        ScriptedLive(publishing(2, 3)).running() as live,
        tailing(tmp_path, "--type", "xp_earned,level_up", "--user", "anna", environment=reader(live)) as tail,
    ):
        await tail.shows("xp_amount=3")
        assert "12:00:00  xp_earned            abababababab  tests  xp_amount=2\n" in tail.shown
        assert COLOUR not in tail.shown
        assert [visit.asked for visit in live.visits] == [{"types": "level_up,xp_earned", "user_id": "anna"}]
        assert live.visits[0].authorization == "Bearer the-key"
        assert await tail.interrupted() == 0
        assert "Traceback" not in tail.shown


async def test_a_connection_that_is_lost_is_made_again(tmp_path: Path) -> None:
    script = publishing(2, then=1012), publishing(2, 3)
    async with ScriptedLive(*script).running() as live, tailing(tmp_path, "--json", environment=reader(live)) as tail:
        await tail.shows('"xp_amount":3')
        found = [json.loads(line) for line in tail.shown.splitlines() if line.startswith("{")]
        assert [one["id"] for one in found] == ["2", "3"]
        assert found[0]["properties"] == message(2)["properties"]
        assert "closed with 1012); retrying in" in tail.shown
        assert live.visits[1].asked == {"last_id": "2"}
        assert await tail.interrupted() == 0


async def test_a_system_that_runs_here_is_found(tmp_path: Path) -> None:
    async with ScriptedLive(publishing(2)).running() as live:
        facts = dict.fromkeys(dev_file.DevFile.__dataclass_fields__, "x")
        dev_file.write(tmp_path, dev_file.DevFile(**facts | {"dashboard_url": live.url, "read_key": "dev-key"}))
        async with tailing(tmp_path, "--data-dir", str(tmp_path)) as tail:
            await tail.shows("xp_amount=2")
            assert live.visits[0].authorization == "Bearer dev-key"


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
async def test_a_refused_key_ends_it_with_3(tmp_path: Path, status: HTTPStatus) -> None:
    async with ScriptedLive(Refusal(status)).running() as live, tailing(tmp_path, environment=reader(live)) as tail:
        assert await tail.ended() == 3
        assert "key refused" in tail.shown
        assert "the-key" not in tail.shown


async def test_a_revoked_key_ends_it_with_3(tmp_path: Path) -> None:
    async with (
        ScriptedLive(publishing(2, then=4401)).running() as live,
        tailing(tmp_path, environment=reader(live)) as tail,
    ):
        assert await tail.ended() == 3
        assert "was revoked" in tail.shown


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.OK, HTTPStatus.METHOD_NOT_ALLOWED])
async def test_another_service_at_the_url_ends_it_with_3(tmp_path: Path, status: HTTPStatus) -> None:
    async with ScriptedLive(Refusal(status)).running() as live, tailing(tmp_path, environment=reader(live)) as tail:
        assert await tail.ended() == 3
        assert "is this the URL of the read service?" in tail.shown
        assert live.refused == 1


async def test_a_temporary_404_does_not_end_it(tmp_path: Path) -> None:
    script = publishing(2, then=1012), Refusal(HTTPStatus.NOT_FOUND), publishing(2, 3)
    async with ScriptedLive(*script).running() as live, tailing(tmp_path, environment=reader(live)) as tail:
        await tail.shows("xp_amount=3")
        assert await tail.interrupted() == 0


async def test_an_unreachable_service_is_reported_once(tmp_path: Path) -> None:
    away = Refusal(HTTPStatus.SERVICE_UNAVAILABLE)
    async with (
        ScriptedLive(away, away, away, publishing(2)).running() as live,
        tailing(tmp_path, environment=reader(live)) as tail,
    ):
        await tail.shows("xp_amount=2")
        assert live.refused == 3
        assert tail.shown.count("not connected") == 1
        assert await tail.interrupted() == 0


async def test_no_proxy_is_used_for_this_machine(tmp_path: Path) -> None:
    proxies = {"HTTPS_PROXY": "socks5://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    async with (
        ScriptedLive(publishing(2)).running() as live,
        tailing(tmp_path, environment=reader(live) | proxies) as tail,
    ):
        await tail.shows("xp_amount=2")
    elsewhere = {"ANALYTICS_DASHBOARD_URL": "https://analytics.example.org", "ANALYTICS_READ_KEY": "key"}
    async with tailing(tmp_path, environment=elsewhere | proxies) as tail:
        assert await tail.ended() == 2
        assert "NO_PROXY" in tail.shown
        assert "Traceback" not in tail.shown


@pytest.mark.parametrize("arguments", [(), ("--json",)])
async def test_a_terminal_that_is_not_utf_8_gets_escapes(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    async def play(visit: Visit) -> None:
        await visit.welcome(1)
        achievement = message(2, "achievement_unlock", achievement_id="a", achievement_name="\u0645\U0001f600")
        await visit.say("events", events=[achievement], cursor="2")
        await visit.stay()

    async with (
        ScriptedLive(play).running() as live,
        tailing(tmp_path, *arguments, environment=reader(live) | {"PYTHONIOENCODING": "cp1252"}) as tail,
    ):
        await tail.shows("\\u0645\\ud83d\\ude00")
        assert await tail.interrupted() == 0
        assert "Traceback" not in tail.shown


async def test_wrong_usage_ends_it_with_2(tmp_path: Path) -> None:
    for arguments in (("--type", "nothing"), ("--url", "ftp://x", "--key", "k"), ("--data-dir", str(tmp_path))):
        async with tailing(tmp_path, *arguments) as tail:
            assert await tail.ended() == 2


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
async def test_a_terminal_gets_colours_unless_it_wants_none(
    tmp_path: Path, environment: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    screen = b""

    def read() -> None:
        nonlocal screen
        screen += os.read(ours, 65_536)

    asyncio.get_running_loop().add_reader(ours, read)
    try:
        async with (
            ScriptedLive(publishing(2)).running() as live,
            tailing(tmp_path, stdout=theirs, environment=reader(live) | environment) as tail,
        ):
            await eventually(lambda: b"xp_amount=2" in screen)
            assert (COLOUR.encode() in screen) == coloured
            assert await tail.interrupted() == 0
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("more", [{}, {"FORCE_COLOR": "1"}])
async def test_a_reader_that_goes_away_ends_it_with_1(tmp_path: Path, more: dict[str, str]) -> None:
    async def play(visit: Visit) -> None:
        await visit.welcome(1)
        await visit.publish(2)
        await went.wait()
        for number in range(3, 1_000):
            await visit.publish(number)
        await visit.stay()

    went = asyncio.Event()
    ours, theirs = os.pipe()
    async with ScriptedLive(play).running() as live:
        async with tailing(tmp_path, stdout=theirs, environment=reader(live) | more) as tail:
            os.close(theirs)
            assert b"xp_amount=2" in await asyncio.to_thread(os.read, ours, 65_536)
            os.close(ours)
            went.set()
            assert await tail.ended() == 1
        assert "Traceback" not in tail.shown
        assert "SystemExit" not in tail.shown
