"""The selection of routes, and what the middleware adds to every answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request

from runtime.errors import StreamUnavailable
from schemas.problems import PROBLEM_MEDIA_TYPE
from web.middleware import RequestContextMiddleware
from web.problems import Refusal
from web.reply import Reply
from web.routing import READ, Route, Router

SECURITY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def echo(request: Request) -> Reply:
    return Reply(HTTPStatus.OK, repr(request.path_params).encode(), {"Cache-Control": "no-cache"})


def raising(error: Exception) -> Any:
    async def endpoint(_request: Request) -> Reply:
        raise error

    return endpoint


REFUSED = Refusal(HTTPStatus.FORBIDDEN, "no", "No.", headers={"X-Why": "because"}, event_ids=["a", None])
ROUTES = [
    Route("/exact", READ, echo, aliases=("/other/name",)),
    Route("/exact", ("POST",), echo),
    Route("/of/{one}/and/{two}", ("GET",), echo),
    Route("/silent", ("GET",), echo, is_counted=False),
    Route("/refused", ("GET",), raising(REFUSED)),
    Route("/away", ("GET",), raising(StreamUnavailable("connection"))),
    Route("/defect", ("GET",), raising(ZeroDivisionError("a secret"))),
    Route("/left", ("GET",), raising(ClientDisconnect())),
]


class Service:
    """The routes behind the middleware, and the observed metrics."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, int]] = []
        app = RequestContextMiddleware(Router(ROUTES), SECURITY, self.count)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://service")

    def count(self, route: str, status: int, _seconds: float) -> None:
        self.counted.append((route, status))


@pytest.mark.parametrize("path", ["/exact", "/exact/", "/other/name", "/other/name/"])
async def test_a_path_an_alias_and_a_slash_more_are_one_route(path: str) -> None:
    service = Service()
    assert (await service.client.get(path)).status_code == 200
    assert service.counted == [("/exact", 200)]


async def test_a_path_may_have_a_route_for_each_method() -> None:
    service = Service()
    assert (await service.client.post("/exact")).status_code == 200
    assert service.counted == [("/exact", 200)]


async def test_a_template_gives_its_parameters_and_is_counted_by_itself() -> None:
    service = Service()
    assert (await service.client.get("/of/a%20b/and/c")).text == "{'one': 'a b', 'two': 'c'}"
    assert (await service.client.get("/of/a/b/and/c")).status_code == 404
    assert service.counted == [("/of/{one}/and/{two}", 200), ("unmatched", 404)]


async def test_an_encoded_slash_at_the_end_belongs_to_the_parameter() -> None:
    service = Service()
    assert (await service.client.get("/of/a/and/c/")).text == "{'one': 'a', 'two': 'c'}"
    assert (await service.client.get("/of/a/and/c%2F")).status_code == 404


async def test_a_route_may_be_left_out_of_the_metrics() -> None:
    service = Service()
    assert (await service.client.get("/silent")).status_code == 200
    assert service.counted == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("DELETE", "/exact", "GET, HEAD, POST"), ("HEAD", "/of/a/and/b", "GET")]
)
async def test_another_method_gets_the_allowed_methods(method: str, path: str, allowed: str) -> None:
    reply = await Service().client.request(method, path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
    assert reply.headers["content-type"] == PROBLEM_MEDIA_TYPE


async def test_a_header_of_an_answer_overrides_the_one_of_every_answer() -> None:
    headers = (await Service().client.get("/exact", headers={"X-Request-Id": "a" * 32})).headers
    assert headers.get_list("cache-control") == ["no-cache"]
    assert (headers["x-content-type-options"], headers["x-request-id"]) == ("nosniff", "a" * 32)


async def test_a_refusal_is_a_problem_with_its_headers() -> None:
    reply = await Service().client.get("/refused")
    assert (reply.status_code, reply.headers["x-why"], reply.headers["cache-control"]) == (403, "because", "no-store")
    assert reply.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "code": "no",
        "detail": "No.",
        "instance": reply.headers["x-request-id"],
        "errors": [],
        "event_ids": ["a", None],
    }


async def test_a_dependency_that_is_away_is_a_503_to_come_back_after() -> None:
    reply = await Service().client.get("/away")
    assert (reply.status_code, reply.json()["code"]) == (503, "stream_unavailable")
    assert 1 <= int(reply.headers["retry-after"]) <= 5


async def test_a_defect_is_answered_without_its_text_and_raised_for_the_log() -> None:
    service = Service()
    reply = await service.client.get("/defect")
    assert (reply.status_code, reply.json()["code"]) == (500, "defect")
    assert "secret" not in reply.text
    with pytest.raises(ZeroDivisionError):
        await httpx.AsyncClient(
            transport=httpx.ASGITransport(RequestContextMiddleware(Router(ROUTES), SECURITY, service.count)),
            base_url="http://service",
        ).get("/defect")
    assert service.counted == [("/defect", 500)] * 2


async def test_a_client_that_left_is_neither_answered_nor_counted() -> None:
    counted: list[object] = []
    app = RequestContextMiddleware(Router(ROUTES), SECURITY, lambda *seen: counted.append(seen))

    async def send(message: Any) -> None:
        raise AssertionError(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    await app({"type": "http", "path": "/left", "method": "GET", "headers": []}, receive, send)
    assert counted == []
