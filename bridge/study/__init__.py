"""Studies that repeat published experiments: points on disk, plots, and a page of results.

``scripts/reproduce_*.py`` are thin: each names its points, and this room makes, keeps, measures
and shows them.
"""
