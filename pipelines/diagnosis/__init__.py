"""What is wrong with a file of bars, looked at as it is: before anything was sorted, converted or dropped."""
