"""Texts that programs print for objects, code or unset variables. Pure.

A sender sends them when it converts a wrong value to the id of a learner.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"[A-Za-z_$][\w$]{0,64}"
_PATH: Final = rf"{_NAME}(?:\.{_NAME}){{0,8}}"

_PRINTED: Final = re.compile(
    rf"""
    # JavaScript
    Symbol\([^()]{{0,64}}\) | void\ 0 | \[(?:Function|Circular|Getter|class)\b[^\]]{{0,64}}\]
    | (?:async\s)?function\b\*?\s?\w{{0,64}}\s?\(.{{0,512}}
    | (?:async\s)?(?:{_NAME}|\([\w\s,]{{0,64}}\))\s{{0,2}}=>.{{0,512}}
    | Promise\s\{{.{{0,64}}\}}
    # Python
    | <(?:class|function|method|bound\ method|built-in|module|property|coroutine|generator|lambda)\b.{{0,256}}>
    | <{_PATH}.{{0,128}}\sat\s0x[0-9A-Fa-f]{{1,16}}>
    | {_NAME}\sobject\s\((?:None|\d{{0,20}})\)
    | <(?:QuerySet|SimpleLazyObject|Mock|MagicMock)\b.{{0,256}}>
    # Java, Kotlin, Scala
    | \[+(?:[BCDFIJSZ]|L{_PATH};)@[0-9a-f]{{1,8}} | class\s{_PATH} | kotlin\.Unit
    | Optional\[.{{0,256}}\] | (?:Some|None)\(.{{0,256}}\) | {_PATH}\$\$?Lambda\b.{{0,128}}
    # C#
    | System\.[A-Z]\w{{0,64}}(?:\.[A-Z]\w{{0,64}}){{0,6}}(?:`\d)?(?:\[.{{0,256}}\])?
    # Go, Perl, Lua, PHP, Dart, Elixir, Erlang, Objective-C
    | %!\w\(.{{0,256}}\) | &?\{{<nil>\}} | map\[\] | (?:HASH|ARRAY|CODE|SCALAR|REF|GLOB)\(0x[0-9a-f]{{1,16}}\)
    | (?:table|function|userdata|thread):\s0x[0-9a-f]{{1,16}} | Object\sof\sclass\s.{{0,128}}
    | Instance\sof\s'.{{0,128}}' | Closure:.{{0,256}} | \#(?:PID|Reference|Function)<.{{0,128}}>
    | <\d{{1,8}}(?:\.\d{{1,8}}){{2}}> | <{_NAME}:\s0x[0-9a-f]{{1,16}}>
    # empty values of JSON, and zero
    | \[(?:\s|,|null|""){{0,8}}\] | \{{"?\w{{1,64}}"?:\s?(?:null|undefined|"")\}} | [+-]?0{{1,20}}(?:\.0{{0,20}})?
    """,
    re.VERBOSE | re.DOTALL,
)

_REPEATED: Final = re.compile(r"(?:undefined|null|NaN){2,8}")
"""A missing value, repeated, as of first and last name."""

_REMINDERS: Final = frozenset({"TODO", "FIXME", "TBD", "CHANGEME", "REPLACEME"})

_FIELD: Final = (
    r"(?:(?:user|learner|student|member|account|customer|person|session|client)[ _.\-]?(?:id|name|uuid)?"
    r"|id|uid|uuid|email)"
)
_UNFILLED: Final = re.compile(
    rf"""
    [<\[{{_]{{0,2}}
    (?i:(?:your|insert|enter|replace(?:[ _.\-]with)?)(?:[ _.\-](?:your|the|a))?[ _.\-]{_FIELD}(?:[ _.\-]here)?)
    [>\]}}_]{{0,2}}
    | CHANGE_ME | REPLACE_ME | N\.A\.
    """,
    re.VERBOSE,
)

_VARIABLE: Final = re.compile(
    rf"""
    # {{$user_id}} {{ user_id }} {{user-id}} {{user:id}} {{!User.Id}} {{?id}}
    \{{ [!$@#&?+*/:]?\s? [A-Za-z_][\w.]{{0,64}} (?:(?:->|::?|-|\s)[A-Za-z_][\w.]{{0,64}}){{0,3}} \s?\}}
    # $user->id $user['id'] $env:USER $$user_id$$
    | \$[A-Za-z_]\w{{0,64}}(?:->\w{{1,64}}|\[.{{1,64}}\]){{1,4}} | \$env:\w{{1,64}}
    | \${{1,2}}[A-Za-z_]\w{{0,64}}\${{1,2}}
    # @USER_ID@ ##user_id## |USER| @Model.UserId
    | (?P<sign>[@#|]{{1,2}}) (?:[A-Z][A-Z_]{{2,64}}|(?i:{_FIELD})) (?P=sign) | @Model\.\w{{1,64}}
    # \(user.id) [%id%] <<user_id>> %env(USER)%, and a template that was cut
    | \\\([\w.]{{1,64}}\) | \[%.{{0,128}}%\] | <<\s?[A-Za-z_][\w.]{{0,64}}\s?>> | %env\(.{{0,64}}\)%
    | \{{\{{\s?[\w.]{{1,64}}\}}?
    # ' + user.id + '
    | (?P<quote>["'])\s{{0,2}}\+.{{1,128}}\+\s{{0,2}}(?P=quote)
    """,
    re.VERBOSE | re.DOTALL,
)
"""A variable of a template, a shell or a program."""

_BRACED_UUID: Final = re.compile(r"\{[0-9A-Fa-f-]{32,36}\}")


def is_printed(text: str) -> bool:
    """Return whether the whole text is a printed object, code, or zero."""
    if text.isalnum():
        return text == "Array" or _REPEATED.fullmatch(text) is not None
    return _PRINTED.fullmatch(text) is not None


def is_unfilled(text: str) -> bool:
    """Return whether the whole text is an instruction to insert an id, as in examples."""
    return text in _REMINDERS if text.isalnum() else _UNFILLED.fullmatch(text) is not None


def is_variable(text: str) -> bool:
    """Return whether the whole text is a variable without its value."""
    return _VARIABLE.fullmatch(text) is not None and _BRACED_UUID.fullmatch(text) is None
