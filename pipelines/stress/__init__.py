"""Stress tests: what positions would have lost in markets worse than the test was, and what capital they carry."""
