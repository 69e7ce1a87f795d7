"""First stage: a file or folder of an exchange's export becomes rows in time order."""
