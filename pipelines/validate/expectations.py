"""Great Expectations over the finished bars, and its Data Docs as one page that needs no network.

The suite says once more, in a form that people outside the project read, what the row rules and the bar contract
already enforce, and adds what only a whole batch can show. Great Expectations costs five seconds to import, so only the
functions here import it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.validate.merged_results import Moments, merge
from trading.bars import COLUMNS, ORDER_FLOW
from trading.errors import BarError

_PRICES = COLUMNS[:4]
_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """Result of the suite.

    Parameters
    ----------
    expectations
        Number of expectations checked.
    failures
        One sentence for each that failed.
    page
        Data Docs: one HTML page without outside references.
    """

    expectations: int
    failures: tuple[str, ...]
    page: str


def expect(pieces: Iterable[pd.DataFrame], min_bars: int, title: str) -> Verdict:
    """Check the suite on bars that come in pieces.

    Great Expectations looks at one piece after the other; its results are put together as if it had seen all at once.
    That stamps increase from one piece to the next is for the bar contract to say.

    Parameters
    ----------
    pieces
        Consecutive bars (contract of :mod:`trading.bars`), one piece at least.
    min_bars
        Fewest rows that are expected.
    title
        Name of the batch on the page, such as ``BTC-USD-1h``.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batches = (
        context.data_sources.add_pandas("validated")
        .add_dataframe_asset(title)
        .add_batch_definition_whole_dataframe("bars")
    )
    result: Any = None
    moments, seen, last = Moments(), 0, pd.Timestamp(0, tz="UTC")
    for bars in pieces:
        if result is not None and not len(bars):
            continue
        suite = gx.ExpectationSuite(f"bars of {title}", expectations=_suite(min_bars, list(bars.columns)))
        found = batches.get_batch({"dataframe": bars.reset_index()}).validate(suite)
        moments = moments.joined(bars["close"].to_numpy(dtype=np.float64))
        result = merge(result, found, moments) if seen else found
        seen, last = seen + len(bars), bars.index[-1] if len(bars) else last
    failures = tuple(_sentence(item) for item in result.results if not item.success)
    return Verdict(len(result.results), failures, _page(result, title, last))


def ensure_met(verdict: Verdict, where: str, docs: str) -> None:
    """Stop at a failed expectation.

    Raises
    ------
    BarError
        Naming each that failed.
    """
    if verdict.failures:
        raise BarError(
            f"{len(verdict.failures)} of {verdict.expectations} expectations failed",
            where=where,
            rule="; ".join(verdict.failures),
            remedy=f"open {docs} for the values, and mend the source",
        )


def _suite(min_bars: int, columns: list[str]) -> list[Any]:
    import great_expectations.expectations as gxe

    flow = ORDER_FLOW if set(ORDER_FLOW) <= set(columns) else []
    above = [("high", "low"), ("high", "open"), ("high", "close"), ("open", "low"), ("close", "low")]
    return [
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=["timestamp", *COLUMNS, *flow]),
        gxe.ExpectTableRowCountToBeBetween(min_value=min_bars),
        gxe.ExpectColumnValuesToBeUnique(column="timestamp"),
        gxe.ExpectColumnValuesToBeIncreasing(column="timestamp", strictly=True),
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in [*COLUMNS, *flow]),
        *(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, strict_min=True) for name in _PRICES),
        *(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0) for name in ["volume", *flow]),
        *(gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A=a, column_B=b, or_equal=True) for a, b in above),
        # A frozen feed repeats one price, a column of the wrong unit has no trades: no single row shows either.
        gxe.ExpectColumnStdevToBeBetween(column="close", min_value=0, strict_min=True),
        gxe.ExpectColumnMaxToBeBetween(column="volume", min_value=0, strict_min=True),
    ]


def _sentence(item: Any) -> str:
    settings = {key: value for key, value in item.expectation_config.kwargs.items() if key != "batch_id"}
    found = item.result.get("partial_unexpected_list", [])[:_SHOWN] or [item.result.get("observed_value", "nothing")]
    named = ", ".join(f"{key}={value}" for key, value in settings.items())
    # str() of a tuple shows its members' repr(), which numpy 2 writes as np.float64(1.5).
    shown = (" and ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in found)
    return f"{item.expectation_config.type}({named}) found {', '.join(shown)}"


def _page(result: Any, title: str, moment: pd.Timestamp) -> str:
    """Data Docs of a result. Equal bars give equal bytes: the page's clock is the last bar's stamp."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    result.meta["run_id"] = RunIdentifier(run_name=f"bars up to {moment}", run_time=moment.to_pydatetime())
    result.meta |= {"batch_kwargs": {"data_asset_name": title}, "batch_markers": {}}
    for item in result.results:
        if hasattr(value := item.result.get("observed_value"), "item"):
            # The renderer parses repr(), which numpy 2 writes as np.float64(1.5).
            item.result["observed_value"] = value.item()
    page = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))
    return offline(re.sub(r"np\.float64\(([^)]*)\)", r"\1", str(page)))


def offline(page: str) -> str:
    """A page that fetches nothing: scripts, outside styles, pictures and links go, a style of its own comes."""
    for pattern in (
        r"<script\b.*?</script>",
        r"<link\b[^>]*>",
        r"<img\b[^>]*>",
        r"<style>.*?</style>",
        r"<footer\b.*?</footer>",
        r"\s(?:href|src)=\"(?!#)[^\"]*\"",
        r"\son[a-z]+=\"[^\"]*\"",
        # Nothing unfolds without scripts, so all is shown; the identifiers of what folds are random.
        r"<a data-toggle=\"collapse\".*?</a>",
        r"-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ):
        page = re.sub(pattern, "", page, flags=re.DOTALL | re.IGNORECASE)
    return page.replace("</head>", f"<style>{_STYLE}</style>\n</head>", 1)


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2530; background: #fff; margin: 2rem auto; max-width: 70rem; }
h4, h5, h6 { margin: .4rem 0; } .alert { background: #eef2f6; border-radius: 6px; padding: .6rem 1rem; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-size: 14px; }
td, th { border-bottom: 1px solid #d8dfe6; padding: .35rem .6rem; text-align: left; vertical-align: top; }
.text-success { color: #14783c; } .text-danger { color: #b3261e; }
.fa-check-circle::before { content: "\\2713"; font-style: normal; font-weight: 700; }
.fa-times::before { content: "\\2717"; font-style: normal; font-weight: 700; }
.badge-secondary, .badge-info { background: #e3e9ef; border-radius: 4px; padding: 0 .35rem; }
.ge-section { margin-bottom: 1.2rem; } .sticky, .navbar, .card, .modal, .d-none { display: none; }
.card.collapse { display: block; }
code, pre { background: #f3f5f7; }
"""
