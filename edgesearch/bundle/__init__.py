"""Write, sign, verify and read the `.edge` file, and the deltas between two of them.

It imports `index` and `embedding` for the golden queries alone. Begin with `bundle_file.py`; `container.py` holds the
byte layout.
"""
