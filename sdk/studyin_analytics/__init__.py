"""StudyIn Analytics SDK for the services of the platform: send events and subscribe to them.

tracker = AnalyticsTracker("https://ingest.internal", write_key="...")
session_id = await tracker.start_learning_session(user_id=user.id, material_id=material.id)
"""

from __future__ import annotations

from .books import Stats
from .bus import EventBus, get_event_bus
from .client import Client
from .errors import (
    AnalyticsError,
    ConfigurationError,
    DeliveryRefused,
    EventRejected,
    EventsDropped,
    EventSetAside,
    HandlerFailed,
    HookFailed,
    InvalidEvent,
    SubscriptionRefused,
)
from .schemas.catalogue import EventType
from .trackers import AnalyticsTracker, SyncAnalyticsTracker
from .version import VERSION as __version__

__all__ = [
    "AnalyticsError",
    "AnalyticsTracker",
    "Client",
    "ConfigurationError",
    "DeliveryRefused",
    "EventBus",
    "EventRejected",
    "EventSetAside",
    "EventType",
    "EventsDropped",
    "HandlerFailed",
    "HookFailed",
    "InvalidEvent",
    "Stats",
    "SubscriptionRefused",
    "SyncAnalyticsTracker",
    "__version__",
    "get_event_bus",
]
