"""Verbs of the ``engine`` command that come in groups; each thin, with typer as the only import at the top."""
