"""Count and sort the products in many photos.

It imports `store` and the packages below it. Begin with `photo_count.py`; `count_journal.py`
keeps a count over many runs.
"""
