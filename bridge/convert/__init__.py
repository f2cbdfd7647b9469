"""Stages of the conversion: PyTorch to a proved int8 .tflite."""
