"""What the log says: moves of aliases with their outcomes, and what follows from them. Everything here is pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipelines.promotion.chain import Entry
from pipelines.tracking import CHAMPION
from trading.instrument import Instrument

Kind = Literal["candidate", "promotion", "override", "rollback"]
Outcome = Literal["done", "void"]


@dataclass(frozen=True)
class Move:
    """An alias that goes from one version to another.

    Parameters
    ----------
    time, who
        When it was decided (ISO 8601, UTC), and the user whose process did.
    kind
        ``candidate``: the newest version. ``promotion``: the gate passed it. ``override``: somebody moved it over the
        gate's head. ``rollback``: back to the champion before.
    symbol, timeframe, horizon, model
        What the model forecasts, and its name in the registry.
    alias, origin, to
        Which alias, the version it pointed at (None for none; ``from`` in the log), and the one it goes to.
    bundle
        Hash of the bundle that ``to`` holds.
    why
        One sentence.
    override
        The reason given for passing over the gate, else None.
    verdict
        Of the gate on ``to``: its ``hash``, ``verdict``, ``question`` and ``champion``; None for moves it does not
        decide.
    """

    time: str
    who: str
    kind: Kind
    symbol: str
    timeframe: str
    horizon: str
    model: str
    alias: str
    origin: str | None
    to: str
    bundle: str
    why: str
    override: str | None = None
    verdict: Mapping[str, Any] | None = None

    @property
    def instrument(self) -> Instrument:
        """Whose model it is."""
        return Instrument(self.symbol, self.timeframe)

    def as_object(self) -> dict[str, Any]:
        """As the log and programs have it."""
        plain = asdict(self)
        return {"from": plain.pop("origin"), **plain}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Move":
        """A move from its line in the log."""
        names = {"from": "origin"}
        given = {names.get(key, key): value for key, value in content.items() if key != "step"}
        return cls(**given)


@dataclass(frozen=True)
class Logged:
    """A move as the log has it.

    Parameters
    ----------
    entry
        The line that says that it is going to be made.
    move
        What that line says.
    outcome
        ``done``, ``void`` (it could not be made any more, see ``note``), or None while neither is known.
    recovered
        Whether a later process brought it to its end.
    note
        Why it is void.
    """

    entry: Entry
    move: Move
    outcome: Outcome | None = None
    recovered: bool = False
    note: str = ""


def logged(entries: Sequence[Entry]) -> list[Logged]:
    """Moves in the order they were decided; only the last one can be without an outcome."""
    found: list[Logged] = []
    for entry in entries:
        if entry.content["step"] == "intent":
            found.append(Logged(entry, Move.of(entry.content)))
        else:
            said = entry.content
            found[-1] = Logged(found[-1].entry, found[-1].move, said["step"], said["recovered"], said["note"])
    return found


def intent(move: Move) -> dict[str, Any]:
    """Content of the line that a move begins with."""
    return {"step": "intent", **move.as_object()}


def outcome(of: Entry, time: str, who: str, *, void: str = "", recovered: bool = False) -> dict[str, Any]:
    """Content of the line that it ends with; void with a reason."""
    step: Outcome = "void" if void else "done"
    return {"step": step, "of": of.hash, "time": time, "who": who, "recovered": recovered, "note": void}


def last_move(moves: Sequence[Logged], model: str, alias: str) -> Logged | None:
    """The last move of an alias that was made."""
    return next(reversed(list(_made(moves, model, alias))), None)


def champions(moves: Sequence[Logged], model: str) -> list[str]:
    """Versions that are or can come back: the champion last, before it those whose turn ended by a promotion.

    A rollback takes champions off the end, a promotion or an override adds one; so a second rollback goes further back,
    and not to the version that the first one left.
    """
    line: list[str] = []
    for one in _made(moves, model, CHAMPION):
        if one.move.kind == "rollback":
            while line and line[-1] != one.move.to:
                line.pop()
        elif one.move.origin is not None and line[-1:] != [one.move.origin]:
            # Somebody moved the alias in the registry: it was the champion all the same.
            line.append(one.move.origin)
        if line[-1:] != [one.move.to]:
            line.append(one.move.to)
    return line


def withdrawn(moves: Sequence[Logged], model: str) -> set[str]:
    """Hashes of bundles that were rolled back from and not promoted since: no run promotes them by itself."""
    bundles: dict[str, str] = {}
    found: set[str] = set()
    for one in _made(moves, model, CHAMPION):
        bundles[one.move.to] = one.move.bundle
        if one.move.kind == "rollback":
            found |= {bundles[one.move.origin]} if one.move.origin in bundles else set()
        found -= {one.move.bundle}
    return found


def _made(moves: Sequence[Logged], model: str, alias: str) -> Iterator[Logged]:
    return (one for one in moves if one.outcome == "done" and (one.move.model, one.move.alias) == (model, alias))
