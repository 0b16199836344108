"""What computes a network: PyTorch, OpenVINO or ONNX Runtime; device, number format, memory, copies."""
