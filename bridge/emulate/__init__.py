"""Real firmware on an emulated core: outputs, exact instruction counts, stack."""

from bridge.emulate.plugin import Block, Counts
from bridge.emulate.run import Run, run
from bridge.emulate.timing import Cycles, model_cycles

__all__ = ["Block", "Counts", "Cycles", "Run", "model_cycles", "run"]
