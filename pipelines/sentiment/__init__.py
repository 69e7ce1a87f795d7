"""Sentiment and funding as series with a time of publication, joined to bars by :mod:`pipelines.features.external`.

A source is read into a frame, and the frame is joined::

    series = declared("fear_greed")
    frame = read_series(series, "fear_greed.json", now=pd.Timestamp.now("UTC"))
    published, values, not_before = arrays_of(frame, series.columns)
    join(known_at, published, values, not_before=not_before, **series.terms)
"""
