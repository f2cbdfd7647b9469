"""Byte formats of weights: our sparse streams and the DECODE tensors of TFLite Micro."""
