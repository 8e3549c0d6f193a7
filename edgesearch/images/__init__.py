"""Read photos as upright RGB arrays within limits, and analyse their pixels: quality, colours, barcodes, crops.

No other package uses PIL. It may import `_util`. Begin with `image.py`, which reads every picture.
"""
