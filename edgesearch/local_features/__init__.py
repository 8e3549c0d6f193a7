"""Find and verify products by printed details: SIFT keypoints, packed descriptors, visual words, geometry.

It may import `_util`, `images`, `embedding` and `index`. Begin with `local_index.py`; `sift.c` and `geometry.c` hold
the inner loops.
"""
