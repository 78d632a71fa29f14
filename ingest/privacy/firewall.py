"""Looks at every free text of an event before anything is stored: what may name a person is refused, or not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple, get_args, get_type_hints

from ingest.faults import Rejection
from ingest.privacy.allow_list import AllowList
from ingest.privacy.detectors import Personal, find_personal
from ingest.privacy.templates import template_of
from runtime.errors import ConfigurationError
from runtime.pseudonym import Pseudonymizer
from schemas.properties import Identifier, Label, Properties

REDACTED: Final = "[redacted]"
HASHED: Final = "hashed-"
_HASH_BYTES: Final = 16
_ENDPOINT: Final = "endpoint"
_EVENT_ID: Final = "event_id"

_NAMES: Final = {
    Personal.EMAIL: "an e-mail address",
    Personal.PHONE: "a phone number",
    Personal.CARD: "a card number",
    Personal.NATIONAL_ID: "a national id or bank account",
    Personal.IP_ADDRESS: "an IP address",
    Personal.SECRET: "a secret",
}


class Action(StrEnum):
    """What becomes of a text that may name a person."""

    #: the event is not accepted
    REJECT = "reject"
    #: the text is replaced by a fixed one
    REDACT = "redact"
    #: the text is replaced by its keyed hash: equal texts stay equal
    HASH = "hash"


class Edit(NamedTuple):
    """A change to an accepted event, which its sender is told of."""

    pointer: str
    code: str
    detail: str


class Firewall:
    """Applies the action of each field; `reject` where none is given."""

    def __init__(
        self,
        actions: Mapping[str, Action],
        pseudonymizer: Pseudonymizer,
        allowed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Take actions and allowed patterns by the name of a property.

        Raises ConfigurationError for a name no event has, and for a pattern that `AllowList` refuses.
        """
        known = all_free_texts()
        unknown = sorted(set(actions) - known)
        if unknown:
            raise ConfigurationError(
                f"ANALYTICS_PII_ACTIONS names {', '.join(unknown)}; the texts of events are {', '.join(sorted(known))}"
            )
        self._allow_list = allow_list(allowed or {})
        self._actions = actions
        self._pseudonymizer = pseudonymizer

    def inspect_id(self, event_id: str) -> Rejection | None:
        """Return why an event is not accepted under the id its sender chose; None when it may be."""
        found = find_personal(event_id)
        if found is None or self._allow_list.allows(_EVENT_ID, event_id):
            return None
        return _rejection(f"/{_EVENT_ID}", found)

    def inspect(self, properties: Properties) -> tuple[Properties, tuple[Edit, ...]] | Rejection:
        """Return the properties as they may be stored and what was changed, or why the event is not accepted."""
        changed: dict[str, str] = {}
        edits: list[Edit] = []
        for name in free_texts(type(properties)):
            text: str | None = getattr(properties, name)
            judged = None if text is None else self._judge(name, text)
            if judged is None:
                continue
            if isinstance(judged, Rejection):
                return judged
            changed[name], edit = judged
            edits.append(edit)
        return (properties.model_copy(update=changed) if changed else properties), tuple(edits)

    def _judge(self, name: str, text: str) -> tuple[str, Edit] | Rejection | None:
        pointer = f"/properties/{name}"
        if name == _ENDPOINT:
            template = template_of(text)
            detail = "Stored as the template of its route."
            return None if template == text else (template, Edit(pointer, "endpoint_template", detail))
        found = find_personal(text)
        if found is None or self._allow_list.allows(name, text):
            return None
        match self._actions.get(name, Action.REJECT):
            case Action.REJECT:
                return _rejection(pointer, found)
            case Action.REDACT:
                return REDACTED, Edit(pointer, "personal_data", f"Looked like {_NAMES[found]}; stored as {REDACTED}.")
            case Action.HASH:
                return self._hashed(name, text), Edit(
                    pointer, "personal_data", f"Looked like {_NAMES[found]}; stored hashed."
                )

    def _hashed(self, name: str, text: str) -> str:
        # no user id has a NUL, so this is the hash of none
        return HASHED + self._pseudonymizer.pseudonym(f"{name}\0{text}")[:_HASH_BYTES].hex()


def allow_list(patterns: Mapping[str, Sequence[str]]) -> AllowList:
    """Return the list of allowed forms. Raises ConfigurationError for a field that has no text, or a bad pattern."""
    # an endpoint is stored as a template, whatever its form
    return AllowList(patterns, (all_free_texts() | {_EVENT_ID}) - {_ENDPOINT})


def all_free_texts() -> frozenset[str]:
    """Return the names of all properties, of any type of event, that hold a text of the sender's choice."""
    return frozenset(name for model in Properties.__subclasses__() for name in free_texts(model))


@cache
def free_texts(model: type[Properties]) -> tuple[str, ...]:
    """Return the names of the properties that hold a text of the sender's choice."""
    hints = get_type_hints(model, include_extras=True)
    return tuple(name for name in model.model_fields if {hints[name], *get_args(hints[name])} & {Identifier, Label})


def _rejection(pointer: str, found: Personal) -> Rejection:
    return Rejection("personal_data", pointer, f"This looks like {_NAMES[found]}; send an opaque id or name.")
