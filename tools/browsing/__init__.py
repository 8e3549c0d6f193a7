"""Drive the web page in a real Chromium: open every screen, take screenshots, act at random.

Begin with `visitor.py` (a person in front of the page) and `page_scenes.py` (how to reach each screen).
"""
