"""Search millions of vectors in a few megabytes: product-quantized codes in cells, rescored by int8 vectors.

It is the only user of usearch and imports only `_util`. Begin with `compact_index.py`; `_kernel.c` holds the inner
loops.
"""
