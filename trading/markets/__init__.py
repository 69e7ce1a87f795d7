"""Simulated markets whose best possible forecast is known."""
