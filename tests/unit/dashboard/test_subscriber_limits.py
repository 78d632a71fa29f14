"""No caller or address can take all live connections, and a closed one is free at once."""

from __future__ import annotations

import pytest

from dashboard.access.authenticator import Learner
from dashboard.live.subscriber_limits import Holder, SubscriberLimits
from web.problems import Refusal

ANNA, BERT = Learner((b"anna",)), Learner((b"bert",))


def refusal(places: SubscriberLimits, holder: Holder) -> tuple[int, str]:
    with pytest.raises(Refusal) as refused:
        places.check(holder)
    assert "Retry-After" in refused.value.headers
    return refused.value.status, refused.value.code


def test_one_learner_leaves_places_to_others_whatever_the_transport_and_address() -> None:
    places = SubscriberLimits(10, per_caller=2)
    with places.taken("sse", Holder(ANNA, "192.0.2.1")), places.taken("websocket", Holder(ANNA, "192.0.2.2")):
        assert refusal(places, Holder(Learner((b"anna",)), "192.0.2.3")) == (429, "too_many_live_connections")
        places.check(Holder(BERT, "192.0.2.1"))
    places.check(Holder(ANNA, "192.0.2.1"))


def test_one_address_leaves_places_to_others() -> None:
    places = SubscriberLimits(10, per_address=1)
    with places.taken("sse", Holder(ANNA, "192.0.2.1")):
        code = "too_many_live_connections_from_address"
        assert refusal(places, Holder(BERT, "192.0.2.1")) == (429, code)
        places.check(Holder(BERT, "192.0.2.2"))


def test_a_place_is_free_once_its_client_is_gone() -> None:
    places = SubscriberLimits(1)
    with places.taken("sse", Holder(ANNA, None)) as release:
        assert refusal(places, Holder(BERT, None)) == (503, "too_many_subscribers")
        release()
        places.check(Holder(BERT, None))
    with places.taken("sse", Holder(BERT, None)):
        assert refusal(places, Holder(ANNA, None))[0] == 503
