"""Search millions of vectors in a few megabytes: product-quantized codes in cells, rescored by int8 vectors.

It may import `_util`. Begin with `compact_index.py`; `kernel.c` holds the inner loops.
"""
