"""Write, sign, verify and read the `.edge` file, and the deltas between two of them.

It may import `_util` and, for the golden queries alone, `images`, `embedding` and `index`. Begin with `bundle_file.py`;
`container.py` holds the byte layout.
"""
