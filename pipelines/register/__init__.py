"""Register: every judged bundle as a version of an MLflow model, and the aliases that say which one is live."""
