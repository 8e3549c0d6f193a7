"""Offer the objects that users hold: `Store` and `AsyncStore`.

It imports `search` and `device`. Begin with `store.py`.
"""
