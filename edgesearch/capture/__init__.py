"""Answer what a camera, a watched folder or a barcode wedge delivers, for hours, or take photos of products with it.

It imports `counting`, `store` and the packages below them. Begin with `scan_loop.py`, or with `guided_capture.py`,
which takes photos; each source of photos has a module of its own.
"""
