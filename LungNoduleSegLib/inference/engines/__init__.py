"""What computes a network: PyTorch or ONNX Runtime; device, number format, memory, copies."""
