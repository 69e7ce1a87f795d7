"""What else could have happened: resampled, simulated and shuffled histories, and how sure their answers are."""
