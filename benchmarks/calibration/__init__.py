"""How often the whole machine promotes what it should, and what it should not."""
