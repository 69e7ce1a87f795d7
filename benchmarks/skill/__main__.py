"""Tables of skill.

    python -m benchmarks.skill known    markets with a planted edge, beside logistic regression and LightGBM
    python -m benchmarks.skill null     a market without one, two hundred times
    python -m benchmarks.skill real     all pairs of the sample, at all horizons
    python -m benchmarks.skill budget   five families, eight refits: how long

Beside them are questions with a script each (`python -m benchmarks.skill.NAME --help`): `feature_selection` on a
finished run, `headlines` on files that it is given, `sequence_settings` on planted markets or a finished run.

Cells that are measured are kept and not measured again with the same code and settings; interrupted, it goes on where
it was. `--page docs/skill.md` puts the table there.
"""

import argparse
from pathlib import Path

from benchmarks._cells import HOME, inserted
from benchmarks.skill.forecasts import lightgbm_is_there
from pipelines.settings import quiet_environment


def main() -> None:
    """Measure, and print a table and what it comes to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.skill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=["known", "null", "real", "budget"])
    parser.add_argument("--results", type=Path, default=HOME / "data" / "skill", help="folder that keeps the cells")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--profile", default="quick", help="of params.yaml, for known and real")
    parser.add_argument("--first-seed", type=int, default=1000, help="of the runs without an edge")
    parser.add_argument("--no-peers", action="store_true", help="leave LightGBM out")
    parser.add_argument("--quick", action="store_true", help="a few small cells, to see whether it runs")
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    given = parser.parse_args()
    quiet_environment()
    if given.table == "known" and not given.no_peers and not lightgbm_is_there():
        parser.error("LightGBM is not installed here: run `make skill`, or leave it out with --no-peers")
    from benchmarks.skill import budget, known, null, real

    where, workers = given.results, given.workers
    match given.table:
        case "known":
            table, verdicts = known.run(
                where, workers, quick=given.quick, profile=given.profile, peers=not given.no_peers
            )
        case "null":
            table, verdicts = null.run(where, workers, quick=given.quick, first_seed=given.first_seed)
        case "real":
            table, verdicts = real.run(where, workers, quick=given.quick, profile=given.profile)
        case _:
            table, verdicts = budget.run(where, workers, quick=given.quick)
    listed = "\n".join(f"- {line}" for line in verdicts)
    print(f"{table}\n\n{listed}")
    if given.page:
        inserted(given.page, given.table, f"{table}\n\n{listed}")


if __name__ == "__main__":
    main()
