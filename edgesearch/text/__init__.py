"""Search products by words, sentences and filters.

It may import `_util`, `images`, `catalog` and `answer`. Begin with `text_query.py`, which turns text and filter into
allowed and ranked products.
"""
