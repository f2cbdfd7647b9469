"""ONNX → trainable Keras layers, op by op, with layouts tracked."""
