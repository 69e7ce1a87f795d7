"""From bars to evidence: one folder per stage, pure functions inside, files at the edge."""
