"""Pictures of what the stages stored: reads and draws, computes nothing a stage could have stored."""
