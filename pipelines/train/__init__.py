"""Fit the recipe on the labels known today and write the bundle that is served."""
