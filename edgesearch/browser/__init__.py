"""Make a site that searches a bundle in a browser alone: static files, no server.

A site is the page of `web` with the engine in `static/`, which also replaces the page's way to its server; `exports.c`
offers the package's C to it. It may import `_util` and `bundle`. Begin with `site.py`.
"""
