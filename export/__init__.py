"""Make the model that devices run: train, export to ONNX, quantize, verify. The only place that imports torch."""
