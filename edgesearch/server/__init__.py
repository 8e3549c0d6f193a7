"""Serve JSON over HTTP, and the page in `web/`.

It imports `store`, `counting`, `html` and the packages below them; only the command line imports it. Begin with
`app.py`; each routes module serves one role.
"""
