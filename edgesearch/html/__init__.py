"""Compose HTML pages and SVG charts that are one file and load nothing.

It may import `_util` and `images`. Begin with `html_page.py`; `markup.py` escapes all text.
"""
