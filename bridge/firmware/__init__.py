"""From generated sources to a linked firmware, and what it costs in flash and RAM."""
