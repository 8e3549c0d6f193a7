"""Find and verify products by printed details: SIFT keypoints, packed descriptors, visual words, geometry.

It may import `_util`, `images`, `embedding` and `index`. Begin with `local_index.py`; `_sift.c` and `_geometry.c` hold
the inner loops.
"""
