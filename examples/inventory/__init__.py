"""A small inventory window that embeds edgesearch: find products by photo or words, teach new ones, count.

Begin with `window.py` (what happens), `pages.py` (how it is laid out) and `background.py` (how the store is called).
"""
