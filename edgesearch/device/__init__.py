"""Install bundles on a device, keep what it was taught, and export that.

It imports `bundle` and `search`. Begin with `slots.py` for installation and `overlay.py` for what was taught.
"""
