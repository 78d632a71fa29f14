"""Ids that stand for nobody are told from those that only look a little like it."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text.placeholders import is_artefact, is_blank, is_placeholder, is_unrendered

BLANK = [
    "",
    " ",
    "\t\n",
    "\u00a0",
    "\u200b",
    "\u200b\u200d",
    "\ufeff",
    "\u3164",
    "\u2800 ",
    "\u115f",
    "\ufe0f",
    "\u00ad",
]
UNRENDERED = [
    "[object Object]",
    "[object Undefined]",
    "{{user.id}}",
    "{{ user.id }}",
    "user-{{id}}",
    "${userId}",
    "user_${user.id}",
    "#{user.id}",
    "@{user.id}",
    "<%= id %>",
    "{% user %}",
    "{user_id}",
    "{0}",
    "{}",
    "<user_id>",
    "$user",
    "$USER_ID",
    "%s",
    "%d",
    "%user_id%",
    "%(user)s",
    ":user_id",
    "[[user]]",
    "*|USER|*",
    "<User object at 0x7f3a>",
    "#<User:0x00007f>",
    "%7B%7Buser.id%7D%7D",
    "%257B%257Buser.id%257D%257D",
    "%24%7BuserId%7D",
    "&lt;user_id&gt;",
    "&lbrace;&lbrace;id&rbrace;&rbrace;",
    "{$user_id}",
    "{ user_id }",
    "{user-id}",
    "{user:id}",
    "{!User.Id}",
    "$user->id",
    "$user['id']",
    "$env:USERNAME",
    "${{ github.actor }}",
    "@USER_ID@",
    "##USER_ID##",
    "@Model.UserId",
    "\\(user.id)",
    "[% user.id %]",
    "<<user_id>>",
    "%env(USER)%",
    "{{user.id",
    "' + user.id + '",
]
NO_VALUE = [
    "undefined",
    "Undefined",
    "null",
    "NULL",
    "(null)",
    "'null'",
    '"undefined"',
    "\u201cnull\u201d",
    "[null]",
    "nil",
    "<nil>",
    "None",
    "none",
    "<none>",
    "NaN",
    "Infinity",
    "-Infinity",
    "n/a",
    "#N/A",
    "(not set)",
    " null ",
    "null\u200b",
    "\uff4e\uff55\uff4c\uff4c",
    "''",
    '""',
    "00000000-0000-0000-0000-000000000000",
    "00000000000000000000000000000000",
    "{00000000-0000-0000-0000-000000000000}",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "F" * 32,
    "000",
    "0.0",
    "0.00",
    "+0",
    "void 0",
    "undefinedundefined",
    "nullNaN",
    "&lt;null&gt;",
    "%00",
    "%20%20",
    "%22null%22",
    "[]",
    "[null]",
    '{"id":null}',
    "Symbol(id)",
    "function () { }",
    "function id() { [native code] }",
    "async () => user.id",
    "user => user.id",
    "[Function: id]",
    "Promise { <pending> }",
    "System.Object",
    "System.String[]",
    "System.Collections.Generic.List`1[System.String]",
    "<function id at 0x7f3a>",
    "<built-in function id>",
    "<bound method User.id of <User 7>>",
    "<coroutine object id at 0x7f3a>",
    "User object (None)",
    "User object (7)",
    "[B@1b2c3d",
    "[Ljava.lang.String;@1b2c3d",
    "class java.lang.String",
    "kotlin.Unit",
    "Optional[7]",
    "%!s(<nil>)",
    "map[]",
    "HASH(0x55d0c8)",
    "table: 0x55d0c8",
    "Array",
    "Instance of 'User'",
    "#PID<0.101.0>",
    "<User: 0x600000>",
]
NOBODY = [
    "0",
    "-1",
    "true",
    "False",
    "anonymous",
    "anonymousUser",
    "AnonymousUser",
    "guest",
    "unknown",
    "not_authenticated",
    "Not Authenticated",
    "distinct_id",
    "distinctId",
    "user_id",
    "userId",
    "user-id",
    "user.id",
    "__USER_ID__",
    "YOUR_USER_ID",
    "id",
    "ID",
    "email",
    "user_undefined",
    "user-null",
    "user:null",
    "learner-undefined",
    "undefined undefined",
    "None-None",
    "null;",
    "uid=null",
    "undefined_user",
    "$(USER_ID)",
    "%%user_id%%",
    "%{user_id}",
    "<class 'NoneType'>",
    "#<User id: nil>",
    "java.lang.Object@1b2c3d",
    "Optional.empty",
    "0x0",
    "com.example.User@6d06d69c",
    "undefined@undefined",
    "YOUR_USER_ID_HERE",
    "<YOUR_USER_ID>",
    "your-user-id",
    "insert_user_id",
    "TODO",
    "CHANGEME",
    "N.A.",
    "N/A",
    "%55ndefined",
]
SOMEBODY = [
    "anna",
    "na",
    "Na",
    "sid",
    "7",
    "42",
    "-7",
    "00017",
    "1000000",
    "u",
    "learner-7",
    "guest-17",
    "anonymous-3f2a",
    "user-17",
    "nullable",
    "none-such",
    "undefined-behaviour",
    "null-island",
    "annull",
    "00000000-0000-0000-0000-000000000001",
    "10000000-0000-0000-0000-000000000000",
    "ada@example.com",
    "$device:1f",
    "auth0|5f7c",
    "waad|none",
    "{x}y",
    "<3",
    "50%s",
    "田中",
    "Ünal",
    "\u0645\u06cc\u200c\u062e",
    "f",
    "ffff",
    "00f",
    "user_0",
    "array",
    "todo",
    "n.a",
    "0.5",
    "0e12",
    "system.object7",
    "test",
    "deleted",
    ",",
    "symbol",
    "your_name",
    "~ada~",
    "ada%20lovelace",
    "ada&null",
    "function",
    "some(one",
    "{abcdef01-9dad-41d1-80b4-00c04fd430c8}",
    "{abcdef019dad41d180b400c04fd430c8}",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
]


@pytest.mark.parametrize("text", [*BLANK, *UNRENDERED, *NO_VALUE, *NOBODY])
def test_placeholders_of_user_ids_are_recognized(text: str) -> None:
    assert is_placeholder(text)
    assert is_placeholder(f" {text}\u200b ")


@pytest.mark.parametrize("text", SOMEBODY)
def test_real_user_ids_are_not_placeholders(text: str) -> None:
    assert not is_placeholder(text)
    assert not is_artefact(text)


@pytest.mark.parametrize("text", [*BLANK, *UNRENDERED, *NO_VALUE])
def test_no_event_has_such_an_id(text: str) -> None:
    assert is_artefact(text)


@pytest.mark.parametrize("text", ["0", "-1", "id", "guest", "user_id", "true", "order-17"])
def test_an_event_may_have_such_an_id(text: str) -> None:
    assert is_artefact(text) == (text == "0")


@pytest.mark.parametrize("text", UNRENDERED)
def test_no_material_has_such_an_id(text: str) -> None:
    assert is_unrendered(text)


@pytest.mark.parametrize(
    "text", ["None", "null", "undefined", "0", "guest", "[intro]", "a{b}", "100%", "<b>", "<a href>", "$5"]
)
def test_a_material_may_have_such_an_id(text: str) -> None:
    assert not is_unrendered(text)


@pytest.mark.parametrize("text", BLANK)
def test_invisible_text_is_blank(text: str) -> None:
    assert is_blank(text)


@given(st.text(max_size=40))
def test_every_placeholder_of_an_event_id_is_one_of_a_user_id(text: str) -> None:
    assert is_unrendered(text) <= is_artefact(text) <= is_placeholder(text)
    assert is_blank(text) <= is_artefact(text)


def test_generated_ids_are_not_placeholders() -> None:
    rng = random.Random(11)
    alphabets = (string.digits, string.hexdigits.lower(), string.ascii_letters + string.digits + "_-")
    made = ["".join(rng.choices(rng.choice(alphabets), k=rng.randrange(4, 40))) for _ in range(20_000)]
    assert [text for text in made if is_placeholder(text) and text.strip("0")] == []
