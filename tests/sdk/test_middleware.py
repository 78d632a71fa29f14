"""The middleware around real applications of Starlette and FastAPI, called over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from studyin_analytics.middleware import AnalyticsMiddleware, Scope
from studyin_analytics.testing import recording_sync_tracker

T = TypeVar("T")
SECRET = "ada@example.org"


async def answer(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("yes")


async def fail(_request: Request) -> PlainTextResponse:
    raise LookupError(SECRET)


def starlette_app() -> Starlette:
    inner = Starlette(routes=[Route("/leaf/{leaf}", answer), Route("/fail", fail)])
    tenant = Mount("/tenant/{tenant}", routes=[Route("/in/{item}", answer), Mount("/deep", inner)])
    return Starlette(
        routes=[
            Route("/r/{number:int}", answer, methods=["GET"]),
            Route("/fail/{x}", fail),
            Route("/health", answer),
            tenant,
        ]
    )


def fastapi_app() -> FastAPI:
    inner = APIRouter(prefix="/inner/{first}")
    inner.add_api_route("/leaf/{second:int}", lambda first, second: (first, second))
    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    app = FastAPI()
    app.include_router(outer, prefix="/api")

    @app.get("/gone/{thing}")
    async def gone(thing: str) -> str:
        raise HTTPException(410, thing)

    sub = FastAPI()
    sub.add_api_route("/leaf/{leaf}", lambda leaf: leaf)
    app.mount("/mounted/{tenant}", sub)
    return app


class Asked:
    """An application with the middleware, and the events it tracks."""

    def __init__(self, app: Callable[..., Awaitable[None]], **options: Any) -> None:
        self._tracker, self._recorded = recording_sync_tracker()
        self.app = AnalyticsMiddleware(app, self._tracker, **options)

    async def get(self, *paths: str, method: str = "GET", root_path: str = "") -> list[dict[str, Any]]:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for path in paths:
                await client.request(method, path)
        return self.told()

    def told(self) -> list[dict[str, Any]]:
        assert self._tracker.flush(10)
        return self._recorded.events


def requests(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    facts = [event["properties"] for event in events if event["event_type"] == "api_request"]
    return [(each["endpoint"], each["status_code"]) for each in facts]


@pytest.mark.parametrize(
    ("app", "path", "told"),
    [
        (starlette_app, "/r/42", ("/r/{number}", 200)),
        (starlette_app, "/tenant/acme/in/7", ("/tenant/{tenant}/in/{item}", 200)),
        (starlette_app, "/tenant/acme/deep/leaf/acme", ("/tenant/{tenant}/deep/leaf/{leaf}", 200)),
        (starlette_app, "/tenant/acme/nothing", ("/tenant/{tenant}/{path}", 404)),
        (starlette_app, f"/{SECRET}", ("unmatched", 404)),
        (fastapi_app, "/api/outer/inner/a/leaf/5", ("/api/outer/inner/{first}/leaf/{second}", 200)),
        (fastapi_app, "/mounted/acme/leaf/5", ("/mounted/{tenant}/leaf/{leaf}", 200)),
        (fastapi_app, "/mounted/acme/nothing", ("unmatched", 404)),
        (fastapi_app, "/gone/x", ("/gone/{thing}", 410)),
        (fastapi_app, f"/{SECRET}", ("unmatched", 404)),
    ],
)
async def test_an_endpoint_is_its_route_and_never_its_path(
    app: Callable[[], Callable[..., Awaitable[None]]], path: str, told: tuple[str, int]
) -> None:
    assert requests(await Asked(app()).get(path)) == [told]


async def test_the_root_an_application_is_served_under_is_not_of_its_routes() -> None:
    assert requests(await Asked(starlette_app()).get("/base/tenant/acme/in/7", root_path="/base")) == [
        ("/tenant/{tenant}/in/{item}", 200)
    ]


async def test_a_request_is_told_with_all_its_facts() -> None:
    [event] = await Asked(starlette_app()).get("/r/42", method="PUT")
    facts = event["properties"]
    assert facts.pop("duration_ms") >= 0
    assert facts == {"endpoint": "/r/{number}", "method": "PUT", "status_code": 405}
    assert "user_id" not in event


async def test_an_exception_is_told_by_its_name_only_and_raised_again() -> None:
    asked = Asked(starlette_app())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(asked.app), base_url="http://app") as client:
        with pytest.raises(LookupError, match=SECRET):
            await client.get("/fail/5")
    request, error = asked.told()
    assert (request["event_type"], request["properties"]["status_code"]) == ("api_request", 500)
    assert error["event_type"] == "api_error"
    facts = {"endpoint": "/fail/{x}", "method": "GET", "status_code": 500, "error_type": "LookupError"}
    assert error["properties"] == facts


async def test_what_is_excluded_or_no_method_of_http_is_not_told() -> None:
    asked = Asked(starlette_app(), excluded=["/health"])
    assert await asked.get("/health") == []
    assert await asked.get("/r/1", method="BREW") == []


async def test_it_may_say_for_whom() -> None:
    def learner(scope: Scope) -> int:
        return int(scope["path_params"]["number"])

    [event] = await Asked(starlette_app(), user_id_of=learner).get("/r/42")
    assert event["user_id"] == "42"


async def test_a_fault_of_user_id_of_fails_no_request() -> None:
    def broken(_scope: Scope) -> int:
        raise KeyError(SECRET)

    [event] = await Asked(starlette_app(), user_id_of=broken).get("/r/42")
    assert event["properties"]["status_code"] == 200


async def test_it_is_added_as_frameworks_add_middleware() -> None:
    tracker, recorded = recording_sync_tracker()
    for app in (starlette_app(), fastapi_app()):
        app.add_middleware(AnalyticsMiddleware, tracker=tracker)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            await client.get("/nothing")
    app = starlette_app()
    app.add_middleware(AnalyticsMiddleware, tracker=tracker)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        await client.get("/fail/5")
    assert tracker.shutdown(10)
    assert requests(recorded.events) == [("unmatched", 404), ("unmatched", 404), ("/fail/{x}", 500)]


async def test_what_is_not_http_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: object, _send: object) -> None:
        seen.append(scope["type"])

    asked = Asked(app)
    await asked.app({"type": "lifespan"}, _never, _never)
    assert (seen, asked.told()) == (["lifespan"], [])


async def _never(*_: object) -> Any:
    raise AssertionError
