"""Offer the objects that users hold: `Store` and `AsyncStore`.

It may import `search`, `device` and all packages below them. Begin with `store.py`; `store_session.py` holds what is
open.
"""
