"""Turn a catalogue into a bundle: read, extract, assemble, fit to a budget, calibrate, write.

It imports `search` and everything below it, and the merged overlay of `device`. Begin with `build.py`, which lists the stages.
"""
