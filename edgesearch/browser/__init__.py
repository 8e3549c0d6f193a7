"""Make a site that searches a bundle in a browser alone: static files, no server.

`static/` holds the engine in JavaScript and the page; `exports.c` offers the package's C to it. It may import `_util`
and `bundle`. Begin with `site.py`.
"""
