"""The look-ahead check: change what became known later, and see that nothing earlier moves."""
