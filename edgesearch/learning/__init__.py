"""Decide what may be learned from a photo whose product is known, and which learned pictures to keep.

It works on embeddings and imports nothing of the package but errors. Begin with `contradiction.py`, which compares what
a label says with what a photo looks like; `diverse_memory.py` chooses what to keep.
"""
