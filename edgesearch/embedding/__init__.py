"""Turn pictures into unit vectors with the network of a model folder.

No other package uses onnxruntime. It may import `_util` and `images`. Begin with `embedder.py`;
`runtime.py` runs the network.
"""
