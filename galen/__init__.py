"""Model compression as a compiler: prune and quantize ONNX networks for the latency of the ARM binary."""
