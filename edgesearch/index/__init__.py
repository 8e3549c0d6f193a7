"""Search millions of vectors in a few megabytes: product-quantized codes in cells, rescored by int8 vectors.

No other package uses usearch. It may import `_util`. Begin with `compact_index.py`; `kernel.c` holds the inner loops.
"""
