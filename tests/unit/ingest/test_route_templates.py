"""Templates of every framework stay unchanged; in a path, words stay and ids are replaced."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.privacy.route_words import is_word
from ingest.privacy.templates import PLACEHOLDER, template_of

SEGMENTS: dict[str, list[str]] = json.loads(Path("tests/corpus/route_segments.json").read_text(encoding="utf-8"))

TEMPLATES = {
    "Django": [
        r"^courses/(?P<course_id>[^/]+)/progress$",
        r"^courses/(?P<id>[^/]+)/$",
        r"^articles/(?P<year>[0-9]{4})/(?P<slug>[\w-]+)/?$",
        r"^comments/(?:page-(?P<page>\d+)/)?$",
        r"^articles/(?P<year>[0-9]{4})/(?:page-(?P<n>\d+)/)?reviews$",
        r"^a/(?:b/(?P<c>\w+)/)?d$",
        "/a(/b)?/c",
        "/lti/v1p3/launch",
        "/courses/<int:pk>/",
        "/courses/<uuid:course_id>/<slug:slug>",
    ],
    "Flask and Bottle": [
        "/files/<path:name>",
        "/users/<string:name>/profile",
        "/x/<any(about, help):page>",
        '/x/<regex("[a-z]{2}"):lang>/y',
        "/items/<id:int>",
        "/x/<path..>",
    ],
    "FastAPI and Starlette": ["/files/{file_path:path}", "/users/{id}/orders/{order_id}/"],
    "Rails": ["/users/:id(.:format)", "/posts(/:page)(.:format)", "/files/*path"],
    "Express": [
        "/users/:id?/posts",
        "/users/:id?",
        r"/users/:id(\d+)",
        r"/users/:id(\\d+)/edit",
        "/flights/:from-:to/:date?",
        "/plantae/:genus.:species",
        "/shop/:path*",
        "/users/:id+",
        "/:lang(en|fr)/about",
        "/users{/:id}/delete",
        r"/^\/users\/(\d+)$/",
        "/@:username",
        "/ab(cd)?e",
        "/ab(cd)?",
        "/:a-:b",
        "/:a.:b",
        "/files/*path",
    ],
    "ASP.NET": [
        "/a/{id:guid?}/b",
        "/{*slug}",
        "/{**slug}",
        "/{id=5}",
        "/{controller=Home}/{action=Index}/{id?}",
        "/{id:int:min(1)}",
        r"/{code:regex(^\d{{3}}-\d{{2}}$)}",
        "/api/v{version:apiVersion}/orders",
        "/[controller]/[action]",
    ],
    "Spring": ["/{id:[a-z]+}", "/{id:[0-9]{4}}", "/**", "/static/**/x", "/{*rest}"],
    "OpenAPI": ["/users/{id}/books/{bookId}", "/users/{user-id}", "/users/{id}.json", "/api/{proxy+}"],
    "Next.js and SvelteKit": ["/users/[id]", "/docs/[...slug]", "/docs/[[...slug]]", "/[lang=lang]/x", "/(app)/about"],
    "gRPC": [
        "/pkg.Service/Method",
        "/grpc.health.v1.Health/Check",
        "/v1/{name=shelves/*/books/*}",
        "/v1/{name}:cancel",
    ],
    "Laravel": ["/users/{id?}"],
    "Go": ["/files/{path...}", "/{$}", "GET /users/{id}"],
    "others": ["/users/{{id}}", "/users/$id", r"/items/([0-9]+)", r"/user/(?<id>\d+)", "/a/b(.*)", "/files/*"],
}


@pytest.mark.parametrize("template", [one for group in TEMPLATES.values() for one in group])
def test_a_template_of_any_framework_stays_as_it_is(template: str) -> None:
    assert template_of(template) == template


@pytest.mark.parametrize("template", [one for group in TEMPLATES.values() for one in group if "$" not in one])
def test_a_query_behind_a_template_is_cut(template: str) -> None:
    assert template_of(f"{template.rstrip('?')}?user=ada&next=/x/{{y}}") == template.rstrip("?")


@pytest.mark.parametrize(
    ("endpoint", "template"),
    [
        ("/a?b=c", "/a"),
        ("/a?", "/a"),
        ("/users/:id?x=1", "/users/:id"),
        ("/a(b?email=ada)", "/a(b"),
        ("/{a?email=ada}", "/{a"),
        ("/a[b?email=ada]", "/a[b"),
        ("/wiki/Foo_(bar)?x=(", "/wiki/Foo_(bar)"),
        ("/x?redirect=/users/{id}", "/x"),
        ("/odata/Users?$filter=x", "/odata/Users"),
        ("/odata/?$top=1", "/odata/"),
        ("/odata/Users(42)/Orders", "/odata/{id}/Orders"),
        ("/a;x=1/b", "/a"),
        ("/a#b", "/a"),
        ("/courses/course-v1:edX+DemoX+2024/x", "/courses/{id}/x"),
        ("/users/{ada@example.com}", "/users/{id}"),
        ("/users/user-{id}-42", "/users/{id}"),
        ("/api/2/issue", "/api/2/issue"),
        ("/rest/2.0/users/7", "/rest/2.0/users/{id}"),
        ("/admin/api/2024-10/products.json", "/admin/api/2024-10/products.json"),
        ("/heatmap/2024-10-01", "/heatmap/{id}"),
        ("/users/%75%73%65%72%34%32", "/users/{id}"),
        ("/ab(cd)?email=ada", "/ab(cd)"),
        ("/ab(cd)?lovelace", "/ab(cd)"),
        ("/lti/1.3/launch", "/lti/1.3/launch"),
        ("/lti/7", "/lti/{id}"),
        ("/sections/1.3", "/sections/{id}"),
        ("/users/12345", "/users/{id}"),
        ("/u/ada.lovelace@x", "/u/{id}"),
        ("/u/ada%40x", "/u/{id}"),
        ("/u/auth0%7Cabcdef", "/u/{id}"),
        ("/u/@ada", "/u/{id}"),
        ("/u/~ada", "/u/{id}"),
        ("/users/@me", "/users/@me"),
        ("/u/deadbeefcafebabe", "/u/{id}"),
    ],
)
def test_what_is_no_template_is_cut_and_its_ids_are_replaced(endpoint: str, template: str) -> None:
    assert template_of(endpoint) == template


def test_words_with_numbers_are_no_ids() -> None:
    taken_for_ids = [word for word in SEGMENTS["words"] if template_of(f"/x/{word}") != f"/x/{word}"]
    assert len(SEGMENTS["words"]) > 400
    assert len(taken_for_ids) <= 0.01 * len(SEGMENTS["words"]), taken_for_ids


def test_ids_are_no_words() -> None:
    taken_for_words = [one for one in SEGMENTS["ids"] if template_of(f"/x/{one}") != f"/x/{PLACEHOLDER}"]
    assert len(SEGMENTS["ids"]) > 250
    assert taken_for_words == []


LETTERS_AND_DIGITS = string.ascii_letters + string.digits


def drawn(alphabet: str, length: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choice(alphabet) for _ in range(length))


MADE_BY_MACHINES: dict[str, Callable[[random.Random], str]] = {
    "uuid": lambda rng: str(UUID(int=rng.getrandbits(128), version=4)),
    "hex of 8": drawn("0123456789abcdef", 8),
    "hex of 24": drawn("0123456789abcdef", 24),
    "ulid": lambda rng: "01" + drawn("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24)(rng),
    "nanoid": drawn(LETTERS_AND_DIGITS + "_-", 21),
    "base62": drawn(LETTERS_AND_DIGITS, 22),
    "cuid": drawn(string.ascii_lowercase + string.digits, 24),
    "snowflake": lambda rng: str(rng.randrange(10**17, 10**19)),
    "name and number": lambda rng: f"user{rng.randrange(10**6)}",
    "slug and hash": lambda rng: f"limits-and-series-{drawn('0123456789abcdef', 8)(rng)}",
}


@pytest.mark.parametrize("make", MADE_BY_MACHINES.values(), ids=MADE_BY_MACHINES.keys())
def test_ids_of_machines_are_found(make: Callable[[random.Random], str]) -> None:
    rng = random.Random(20_260_301)
    missed = [one for one in (make(rng) for _ in range(2_000)) if is_word(one)]
    assert len(missed) <= 0.005 * 2_000, missed


@given(st.text(alphabet="/:{}<>[]()?*.=\\^$+-|dwaP%;#1", max_size=60))
@example("(a/1234/b)")
@example("{a/17/b}")
@example("[a/17?/b]")
def test_the_template_of_a_template_is_the_same(endpoint: str) -> None:
    once = template_of(endpoint)
    assert template_of(once) == once


ODD_SEGMENTS = st.sampled_from(
    [
        "{id}",
        ":a",
        "*b",
        "(cd)?",
        "(?P<x>\\d+)",
        "[id]",
        "1.3",
        "lti",
        "api",
        "a@b",
        "~a",
        "%3F",
        "%2F",
        "http:",
        "",
        "17",
        "\u00e9",
        "\u0000",
    ]
) | st.text(max_size=6)


@given(st.lists(ODD_SEGMENTS, max_size=16), st.sampled_from(["/", "", "//", "?", "a://", "-"]))
def test_the_template_of_an_odd_template_is_the_same_too(segments: list[str], joint: str) -> None:
    once = template_of(joint.join(segments))
    assert template_of(once) == once
