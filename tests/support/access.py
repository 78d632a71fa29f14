"""Keys that the settings of every test accept."""

from __future__ import annotations

import hashlib
import json

WRITE_KEY = "write-key-of-the-tests"
READ_KEY = "read-key-of-the-tests"
EVENTS_KEY = "events-key-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests"
JWT_SECRET = "a-secret-of-the-tests-with-at-least-32-bytes-and-more"
PSEUDONYM_KEYS = f"1:{hashlib.sha256(b'the pseudonym key of the tests').hexdigest()}"

API_KEYS = json.dumps(
    [
        {"source": "tests", "key": WRITE_KEY, "scopes": ["events:write"]},
        {"source": "tests", "key": READ_KEY, "scopes": ["learning:read", "system:read"]},
        {"source": "tests", "key": EVENTS_KEY, "scopes": ["events:read"]},
        {"source": "tests", "key": ADMIN_KEY, "scopes": ["privacy:admin"]},
    ]
)
