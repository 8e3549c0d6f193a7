"""Turn photos into upright RGB arrays within limits, and look at their pixels: quality, colours, barcodes, crops.

It is the only user of PIL, and imports `_util` alone. Begin with `image.py`, which reads every picture.
"""
