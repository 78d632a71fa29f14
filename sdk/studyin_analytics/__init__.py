"""StudyIn Analytics for the services of the platform: send events, subscribe to them."""

from __future__ import annotations
