"""Compose HTML pages and SVG charts that are one file and load nothing.

It imports `images`. Begin with `page.py`; `markup.py` escapes whatever gets in.
"""
