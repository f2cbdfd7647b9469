"""From a PyTorch network to a Cortex-M: pruned, int8, proved byte for byte, measured."""

__version__ = "0.1.0"
