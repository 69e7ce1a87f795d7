"""Everything the gate needs to know about a recipe, in one table of evidence."""
