"""Hash bytes and JSON-able values."""

import hashlib
import json
from typing import Any


def sha256(data: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value as hexadecimal digits; the order of keys does not matter."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
