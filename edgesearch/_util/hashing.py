"""Hash bytes and JSON-able values."""

import hashlib
import json
from typing import Any


def sha256(data: bytes | memoryview) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Hex digest of a JSON-able value, the same whatever the order of its keys."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
