"""A small inventory window that embeds edgesearch: find products by photo or words, teach new ones, count.

Begin with `window.py` (what happens), `find_page.py` (how an answer is shown) and `background.py` (how the store is
called).
"""
