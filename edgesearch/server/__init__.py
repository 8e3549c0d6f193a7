"""Serve JSON over HTTP, and the page in `web/`.

It imports `store` and `counting`; only the command line imports it. Begin with `app.py`; each routes module serves one
role.
"""
