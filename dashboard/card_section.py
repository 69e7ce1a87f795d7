"""One heading of a model card and what stands under it."""

from dataclasses import dataclass

Row = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One heading of a card and what stands under it.

    Parameters
    ----------
    key
        Name for links and pictures.
    title
        The heading.
    notes
        Paragraphs before the table.
    head, rows
        A table; without a head, two columns of names and values.
    items
        Bullets.
    code
        Commands.
    """

    key: str
    title: str
    notes: tuple[str, ...] = ()
    head: Row = ()
    rows: tuple[Row, ...] = ()
    items: tuple[str, ...] = ()
    code: str = ""
