"""Answer what a camera, a watched folder or a barcode wedge delivers, for hours.

It imports `counting`, `store` and the packages below them. Begin with `scan_loop.py`; each source of photos has
a module of its own.
"""
