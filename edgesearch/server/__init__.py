"""Serve JSON over HTTP, and the page in `web/`.

It imports `store` and `counting`, and nothing imports it but the command. Begin with `app.py`; routes are grouped by who may use them.
"""
