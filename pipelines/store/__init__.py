"""Bars and external series on disk: every observation is kept with when it was recorded, and a kill loses nothing.

Bars go to :class:`pipelines.store.bar_store.BarStore`::

    store = BarStore(settings.store_folder)
    series = Series("binance", "BTC/USDT", "1m")
    done = store.append(series, bars, recorded_at=now)      # Appended(added, unchanged, corrected)
    store.read(series, start, end)                          # current bars of [start, end)
    store.read(series, as_of=moment)                        # what was recorded by then, and nothing later
    store.last(series)                                      # open of the newest bar, or None

Everything else that has a time of publication (funding rates, sentiment, on-chain figures) goes to
:class:`pipelines.store.external_store.ExternalStore`, which gives the same guarantees::

    external = ExternalStore(settings.store_folder)
    external.append("funding/binance/BTC-USDT_USDT", frame, recorded_at=now)    # index published_at, float columns
    external.read("funding/binance/BTC-USDT_USDT", start, end)

Both may be called again with what is there already, from several processes at once, and may be killed at any moment.
"""
