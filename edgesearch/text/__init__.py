"""Search products by words, sentences and filters.

It imports `catalog` and `answer`. Begin with `text_query.py`, which turns text and filter into allowed and ranked
products.
"""
