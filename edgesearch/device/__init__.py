"""Install bundles on a device, store what staff teach it, and export that.

It imports `bundle`, `search` and the packages below them. Begin with `slots.py` for installation, and with `overlay.py`
for what the device was taught.
"""
