"""Which features a fit keeps: measures of what a feature is worth, and selectors that go by them."""
