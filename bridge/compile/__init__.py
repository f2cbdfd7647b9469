"""From the int8 graph to C: a plan for every layer, then sources."""
