"""Read catalogues from tables, folders and archives, and store products in one SQLite file.

It imports `images`. Begin with `loader.py`, which reads what people write, and with `sqlite_catalog.py`, the file in a
bundle.
"""
