"""Turn pictures into unit vectors with the network of a model folder.

It is the only user of onnxruntime, and imports `images`. Begin with `embedder.py`; `runtime.py` runs the network.
"""
