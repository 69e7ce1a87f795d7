"""Fit the recipe on every known label and write the bundle that is served."""
