"""Count and sort the products in many photos.

It imports `store`. Begin with `photo_count.py`; `count_journal.py` keeps a count over many runs.
"""
