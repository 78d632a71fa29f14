"""Inspects every free text of an event before storage: text that may identify a person is rejected or replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final, NamedTuple, get_args, get_type_hints

from ingest.privacy import own_id
from ingest.privacy.allow_list import AllowList
from ingest.privacy.detectors import Personal, find_personal
from ingest.privacy.id_form import LONGEST_STORED, digest_of, is_digest, is_placeholder_value, is_plain_form
from ingest.privacy.templates import template_of
from ingest.rejection import Rejection
from ingest.work import LONGEST_CACHED
from runtime.errors import ConfigurationError
from runtime.pseudonym import Pseudonymizer
from schemas.catalogue.property_types import Identifier, Label, Properties

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
_OWN_ID: Final = "the user_id of this event"


class Action(StrEnum):
    """The action on a text that may identify a person."""

    #: the event is rejected
    REJECT = "reject"
    #: the text is replaced by a fixed text
    REDACT = "redact"
    #: the text is replaced by its keyed hash, so equal texts stay equal
    HASH = "hash"


class Edit(NamedTuple):
    """A change to an accepted event. The answer reports it to the sender."""

    pointer: str
    code: str
    detail: str


class Firewall:
    """Applies the action of each field, `reject` by default."""

    def __init__(
        self,
        actions: Mapping[str, Action],
        pseudonymizer: Pseudonymizer,
        allowed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`actions` and `allowed` have the names of properties as keys.

        Raises ConfigurationError for a name that no event has, and for a pattern that `AllowList` refuses.
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
        """Return the reason to reject an event because of the id that its sender chose; None if there is none."""
        found = find_personal(event_id)
        if found is None or self._allow_list.allows(_EVENT_ID, event_id):
            return None
        return _rejection(f"/{_EVENT_ID}", _NAMES[found])

    def inspect(
        self, properties: Properties, own: str | None = None
    ) -> tuple[Properties, tuple[Edit, ...]] | Rejection:
        """Return the properties to store and the changes made, or the reason for a rejection.

        `own` is the search key of the learner's id (`own_id.search_key`); None if it is not searched for.
        """
        changed: dict[str, str] = {}
        edits: list[Edit] = []
        for name in free_texts(type(properties)):
            text: str | None = getattr(properties, name)
            inspected = None if text is None else self._inspect_text(name, text, own)
            if inspected is None:
                continue
            if isinstance(inspected, Rejection):
                return inspected
            changed[name], edit = inspected
            edits.append(edit)
        return (properties.model_copy(update=changed) if changed else properties), tuple(edits)

    def _inspect_text(self, name: str, text: str, own: str | None) -> tuple[str, Edit] | Rejection | None:
        if name == _ENDPOINT:
            return _template(text, own)
        read = _read_recent(text) if len(text) <= LONGEST_CACHED else _read(text)
        if own is not None and own in read.searchable:
            found = _OWN_ID
        elif read.is_plain:
            # nearly always
            return None
        elif read.found is None or self._allow_list.allows(name, text):
            return _formed(name, text)
        else:
            found = read.found
        pointer = f"/properties/{name}"
        match self._actions.get(name, Action.REJECT):
            case Action.REJECT:
                return _rejection(pointer, found)
            case Action.REDACT:
                return REDACTED, Edit(pointer, "personal_data", f"Looked like {found}; stored as {REDACTED}.")
            case Action.HASH:
                return self._hashed(name, text), Edit(pointer, "personal_data", f"Looked like {found}; stored hashed.")

    def _hashed(self, name: str, text: str) -> str:
        # no user id contains NUL, so this cannot equal the hash of one
        return HASHED + self._pseudonymizer.pseudonym(f"{name}\0{text}")[:_HASH_BYTES].hex()


def allow_list(patterns: Mapping[str, Sequence[str]]) -> AllowList:
    """Return the allow list. Raises ConfigurationError for a field without free text, or an invalid pattern."""
    # an endpoint is stored as a template, whatever its form
    return AllowList(patterns, (all_free_texts() | {_EVENT_ID}) - {_ENDPOINT})


def all_free_texts() -> frozenset[str]:
    """Return the names of all free-text properties of all event types."""
    return frozenset(name for model in Properties.__subclasses__() for name in free_texts(model))


class _Reading(NamedTuple):
    """Facts about a text that do not depend on its event."""

    found: str | None
    """Description of the personal data found in it."""
    searchable: str
    """The text in the form in which a learner's id is searched for."""
    is_plain: bool
    """Whether it can be stored unchanged: nothing was found, and it is not a template, blank or long."""


def _read(text: str) -> _Reading:
    personal = None if is_digest(text) else find_personal(text)
    found = None if personal is None else _NAMES[personal]
    is_plain = found is None and len(text) <= LONGEST_STORED and is_plain_form(text)
    return _Reading(found, own_id.searchable_text(text), is_plain)


_read_recent: Final = lru_cache(maxsize=16_384)(_read)


def _read_route(endpoint: str) -> tuple[str, str]:
    """Return the template of an endpoint, and the template in the form in which a learner's id is searched for."""
    template = template_of(endpoint)
    return template, own_id.searchable_text(template)


_read_recent_route: Final = lru_cache(maxsize=16_384)(_read_route)


@cache
def free_texts(model: type[Properties]) -> tuple[str, ...]:
    """Return the names of the free-text properties."""
    hints = get_type_hints(model, include_extras=True)
    return tuple(name for name in model.model_fields if {hints[name], *get_args(hints[name])} & {Identifier, Label})


@cache
def _labels() -> frozenset[str]:
    hints = (get_type_hints(model, include_extras=True) for model in Properties.__subclasses__())
    return frozenset(name for types in hints for name, kind in types.items() if Label in (kind, *get_args(kind)))


def _template(endpoint: str, own: str | None) -> tuple[str, Edit] | None:
    template, searchable = _read_recent_route(endpoint) if len(endpoint) <= LONGEST_CACHED else _read_route(endpoint)
    if own is not None and own in searchable:
        template = own_id.mask_segments(template, own)
    if template == endpoint:
        return None
    return template, Edit(f"/properties/{_ENDPOINT}", "endpoint_template", "Stored as the template of its route.")


def _formed(name: str, text: str) -> tuple[str, Edit] | Rejection | None:
    if name in _labels():
        return None
    pointer = f"/properties/{name}"
    if is_placeholder_value(name, text):
        return Rejection("placeholder_id", pointer, "This is a placeholder; send the real id or name.")
    if len(text) > LONGEST_STORED:
        detail = f"Longer than {LONGEST_STORED} characters; stored as a digest."
        return digest_of(text), Edit(pointer, "long_id", detail)
    return None


def _rejection(pointer: str, found: str) -> Rejection:
    return Rejection("personal_data", pointer, f"This looks like {found}; send an opaque id or name.")
