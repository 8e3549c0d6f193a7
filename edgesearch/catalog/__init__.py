"""Read catalogues from tables, folders and archives, and store products in one SQLite file.

No other package uses fsspec. It may import `_util` and `images`. Begin with `loader.py`, which reads what people write,
and with `sqlite_catalog.py`, the file in a bundle.
"""
