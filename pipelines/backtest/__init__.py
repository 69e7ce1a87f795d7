"""Walk-forward with refits, simulated with costs, beside baselines and a Monte Carlo of the result."""
