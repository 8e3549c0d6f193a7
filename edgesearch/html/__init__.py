"""Compose HTML pages and SVG charts that are one file and load nothing.

It imports `images`. Begin with `html_page.py`; `markup.py` escapes all text.
"""
