"""What can be wrong with a store, where its reader can mend it.

StoreError                  a folder that cannot be written, a name that cannot be stored, a writer that does not let go
├── UnknownSeriesError      a series that nobody stored
├── SchemaVersionError      a store that another version of the engine wrote
└── DamagedStoreError       a file that is not what the log says it is, or a log that cannot be read
"""

from trading.errors import EngineError


class StoreError(EngineError):
    """A folder that cannot be written, a name that cannot be stored, or a writer that does not let go."""


class UnknownSeriesError(StoreError):
    """A series that nobody stored."""


class SchemaVersionError(StoreError):
    """A store that another version of the engine wrote."""


class DamagedStoreError(StoreError):
    """A file that is not what the log says it is, or a log that cannot be read."""
