"""Measure how well a store answers, and how fast it runs on this device.

It imports `store`, `building` and `html`. Begin with `evaluate.py`; `doctor.py` measures the device,
`report.py` writes the page.
"""
