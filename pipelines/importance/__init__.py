"""What features were worth out of sample: by permutation, by Shapley values, by information; and how stable that is."""
