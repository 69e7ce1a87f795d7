"""A file of observations, as bytes, and as the log describes it."""

import pandas as pd

from pipelines.store.log import Entry
from pipelines.store.moments import micros
from pipelines.store.observations import RECORDED


def encode(observations: pd.DataFrame) -> bytes:
    """Observations as a Parquet file; equal observations are equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(observations, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def decode(content: bytes) -> pd.DataFrame:
    """Observations of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.read_table(pa.BufferReader(content), use_threads=False).to_pandas()
    return frame


def describe(observations: pd.DataFrame, key: str, file: str, size: int, digest: str) -> Entry:
    """What the log says about a file of observations."""
    recorded = observations[RECORDED]
    return Entry(
        file=file,
        rows=len(observations),
        keys=int(observations[key].nunique()),
        first=micros(observations[key].iloc[0]),
        last=micros(observations[key].iloc[-1]),
        recorded_first=micros(recorded.min()),
        recorded_last=micros(recorded.max()),
        columns=tuple(name for name in observations.columns if name not in (key, RECORDED)),
        size=size,
        sha256=digest,
    )
