"""Answer a photo: find candidates, verify them, decide, explain.

It may import every package below it, and knows nothing of devices. Begin with `pipeline.py`: a photo's journey from
pixels to an answer.
"""
