"""Prevents a fork while a thread of the SDK is inside pydantic.

Pydantic has internal locks. A child that is forked while a thread holds one would wait for it forever.
"""

from __future__ import annotations

import threading
from typing import Final

NO_FORK: Final = threading.RLock()
"""Held during every validation. A fork waits for it."""
