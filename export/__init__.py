"""Make the model that devices run: train, export to ONNX, quantize, verify.

No other package imports torch. It may import `edgesearch`. Begin with `__main__.py`, which lists the commands in order.
"""
