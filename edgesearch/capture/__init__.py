"""Answer what a camera, a watched folder or a barcode wedge brings, for hours.

It imports `store` and `counting`. Begin with `scan_loop.py`; each source of photos has a module of its own.
"""
