"""Answer a photo: find candidates, verify them, decide, explain.

It imports every package below it, and knows no device. Begin with `pipeline.py`, which holds a photo's way to its answer.
"""
