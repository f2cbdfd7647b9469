"""Packages that drop into other people's firmware, for the build systems they use."""

from bridge.package.content import ENGINES
from bridge.package.export import Exported, export
from bridge.package.metadata import TARGETS

__all__ = ["ENGINES", "TARGETS", "Exported", "export"]
