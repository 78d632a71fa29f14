"""Keeps the process from forking while one of our threads is inside pydantic.

Pydantic has locks of its own; a child that was forked while another thread held one would find it held for ever.
"""

from __future__ import annotations

import threading
from typing import Final

NO_FORK: Final = threading.RLock()
"""Held around every validation; a fork waits for it."""
