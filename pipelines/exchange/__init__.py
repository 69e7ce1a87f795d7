"""Bars and funding rates from any exchange that ccxt knows: history by pages, updates, and live bars as they close.

:mod:`~pipelines.exchange.connection` is the only caller of ccxt. :func:`~pipelines.exchange.fetch.fetch_bars` brings a
series of the bar store up to date, :func:`~pipelines.exchange.watch.watch` goes on from there. What decides (pages,
coverage, clock, live bars) is pure and knows no exchange.
"""
