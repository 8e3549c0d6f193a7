"""Drive the web page in a real Chromium: open every screen, take screenshots, act at random."""
