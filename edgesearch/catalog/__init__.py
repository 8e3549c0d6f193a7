"""Read catalogues as people have them, and keep products in one SQLite file.

It imports `images`. Begin with `loader.py` for tables, folders and archives, and with `sqlite_catalog.py` for the file in a bundle.
"""
