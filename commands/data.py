"""``engine data``: bars at hand, where they come from, and what is wrong with them."""

import typer

from commands import data_check, data_fetch, data_store

app = typer.Typer(help="Bars at hand: fetch them, watch them close, look for faults and gaps.", no_args_is_help=True)

app.command("fetch")(data_fetch.fetch)
app.command("watch")(data_fetch.watch)
app.command("check")(data_check.check)
app.command("list")(data_store.list_series)
app.command("gaps")(data_store.gaps)
app.command("repair")(data_store.repair)
app.command("export")(data_store.export)
