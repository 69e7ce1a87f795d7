"""What follows from a log, against a plain stack of champions."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.promotion.chain import Entry
from pipelines.promotion.moves import Kind, Logged, Move, champions, intent, last_move, logged, outcome, withdrawn

DECISIONS = st.lists(st.tuples(st.sampled_from(["promotion", "override", "rollback"]), st.integers(1, 6)), max_size=25)


def made(kind: Kind, origin: str | None, to: str, model: str = "m", alias: str = "champion") -> Logged:
    move = Move("2019", "ada", kind, "BTC/USD", "1h", "4h", model, alias, origin, to, f"bundle{to}", "why")
    return Logged(Entry(1, "0", {}), move, "done")


@given(DECISIONS)
def test_champions_are_a_stack(decisions: list[tuple[Kind, int]]) -> None:
    stack: list[str] = []
    left: set[str] = set()
    moves: list[Logged] = []
    for kind, number in decisions:
        now = stack[-1] if stack else None
        if kind == "rollback":
            if len(stack) < 2:
                continue
            left.add(f"bundle{stack.pop()}")
            moves.append(made(kind, now, stack[-1]))
        elif now != str(number):
            stack.append(str(number))
            moves.append(made(kind, now, str(number)))
        left -= {f"bundle{version}" for version in stack[-1:]}
        # Moves of others change nothing.
        moves += [made(kind, None, "9", model="other"), made("candidate", None, "8", alias="candidate")]
        moves.append(Logged(Entry(1, "0", {}), made(kind, now, "7").move, "void"))
        assert champions(moves, "m") == stack
        assert withdrawn(moves, "m") == left
        last = last_move(moves, "m", "champion")
        assert (last.move.to if last else None) == (stack[-1] if stack else None)


def test_lines_become_moves_with_their_outcomes() -> None:
    move = made("promotion", "1", "2").move
    begun = Entry(1, "0", intent(move))
    void = Entry(2, begun.hash, outcome(begun, "2019", "bob", void="gone", recovered=True))
    again = Entry(3, void.hash, intent(move))
    found = logged([begun, void, again])
    assert [(one.move, one.outcome, one.recovered, one.note) for one in found] == [
        (move, "void", True, "gone"),
        (move, None, False, ""),
    ]
