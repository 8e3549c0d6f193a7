"""Answer a photo: find candidates, verify them, decide, explain.

It imports `bundle`, `text` and the packages below them, and knows nothing of devices. Begin with `pipeline.py`: a
photo's journey from pixels to an answer.
"""
