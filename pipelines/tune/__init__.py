"""Search for hyperparameters on bars before the first test bar."""
