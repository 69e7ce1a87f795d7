"""Nothing splits rows but `pipelines.splits`: no other splitter is imported, and none works in secret.

scikit-learn splits wherever its caller does not say how: an estimator whose `cv` is left out or a number takes a k-fold
that knows nothing of `t_end`, and early stopping holds out rows at random.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import sklearn.model_selection
from sklearn.utils import all_estimators

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "pipelines" / "splits.py"
FOLDERS = (
    "trading",
    "models",
    "pipelines",
    "serving",
    "dashboard",
    "flows",
    "commands",
    "benchmarks",
    "tools",
    "tests",
)
FILES = sorted([ROOT / "engine.py", *(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))])
# The base class is what ours derive from; that the second opinions below are right, the tests of the splitters ask.
BASE, SECOND_OPINIONS = "BaseCrossValidator", ("purgedcv",)
OTHERS = ("skfolio.model_selection", "mlfinlab", "timeseriescv", "tscv")


def public() -> dict[str, Callable[..., object]]:
    """What sklearn.model_selection offers; its experimental names are there only for those who ask."""
    names = sklearn.model_selection.__all__
    return {name: thing for name, thing in vars(sklearn.model_selection).items() if name in names}


@cache
def splitters() -> set[str]:
    """Everything in scikit-learn that cuts rows into training and test."""
    classes = {name for name, thing in public().items() if inspect.isclass(thing) and hasattr(thing, "split")}
    return (classes | {"train_test_split", "check_cv"}) - {BASE}


@cache
def arguments() -> dict[str, dict[str, object]]:
    """For each function and class of scikit-learn that may split inside: the arguments that decide it, by default."""
    things: dict[str, Callable[..., object]] = {**dict(all_estimators()), **public()}
    deciding = ("cv", "early_stopping", "n_iter_no_change")
    found = {}
    for name, thing in things.items():
        known = inspect.signature(thing).parameters
        if name not in splitters() and (mine := {key: known[key].default for key in deciding if key in known}):
            # Where early stopping can be switched off, how patient it would be decides nothing.
            if "early_stopping" in mine:
                mine.pop("n_iter_no_change", None)
            found[name] = mine
    return found


def breaches(source: str, *, own: bool = False, second_opinion: bool = False) -> Iterator[str]:
    """What a file does that only our splitters may."""
    if not any(word in source for word in ("sklearn", "validation_split", *SECOND_OPINIONS, *OTHERS)):
        return  # nothing to parse for
    tree = ast.parse(source)
    from_sklearn: dict[str, str] = {}
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
            if node.module.split(".")[0] == "sklearn":
                from_sklearn |= {alias.asname or alias.name: alias.name for alias in node.names}
                yield from (f"imports {alias.name}" for alias in node.names if alias.name in splitters())
                if not own:
                    yield from (f"imports {alias.name}" for alias in node.names if alias.name == BASE)
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute) and node.attr in splitters():
            yield f"uses {node.attr}"
        refused = OTHERS if second_opinion else (*OTHERS, *SECOND_OPINIONS)
        yield from (f"imports {name}" for name in modules if name.startswith(refused))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from secret_splits(node, from_sklearn)


def secret_splits(call: ast.Call, from_sklearn: dict[str, str]) -> Iterator[str]:
    """Arguments by which a call splits rows, or leaves it to scikit-learn to do so."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "validation_split" in given:
        yield "gives validation_split"
    if isinstance(call.func, ast.Name):
        name = from_sklearn.get(call.func.id, "")
    else:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if None in given:  # **settings: nobody can tell
        return
    for key, default in arguments().get(name, {}).items():
        value = given.get(key)
        said = value.value if isinstance(value, ast.Constant) else default if value is None else value
        if key == "cv" and (said is None or isinstance(said, int | str)):
            yield f"{name} without a splitter as cv"
        elif key != "cv" and (said is not None and said is not False):
            yield f"{name} with {key}"


def test_there_are_files_and_splitters_to_look_at() -> None:
    assert OWN in FILES
    assert len(FILES) > 100
    assert {"KFold", "StratifiedKFold", "TimeSeriesSplit", "GroupShuffleSplit", "train_test_split"} <= splitters()
    assert {"cross_val_score", "GridSearchCV", "StackingClassifier", "CalibratedClassifierCV"} <= set(arguments())


def test_no_other_splitter_is_used() -> None:
    found = {}
    for path in FILES:
        in_tests = path.is_relative_to(ROOT / "tests")
        text = path.read_text(encoding="utf-8")
        if what := list(breaches(text, own=path == OWN, second_opinion=in_tests)):
            found[path.relative_to(ROOT).as_posix()] = what
    assert found == {}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from sklearn.model_selection import KFold", "imports KFold"),
        ("from sklearn.model_selection import train_test_split as cut", "imports train_test_split"),
        ("from sklearn.model_selection._split import TimeSeriesSplit", "imports TimeSeriesSplit"),
        ("from sklearn.model_selection import BaseCrossValidator", "imports BaseCrossValidator"),
        ("def f():\n    from sklearn.model_selection import ShuffleSplit", "imports ShuffleSplit"),
        ("import sklearn.model_selection as ms\nms.GroupKFold(3)", "uses GroupKFold"),
        ("from skfolio.model_selection import CombinatorialPurgedCV", "imports skfolio.model_selection"),
        ("import purgedcv", "imports purgedcv"),
        ("from sklearn.model_selection import cross_val_score\ncross_val_score(m, X, y)", "cross_val_score without"),
        ("from sklearn.model_selection import cross_val_score\ncross_val_score(m, X, y, cv=5)", "cross_val_score wit"),
        ("from sklearn import model_selection as ms\nms.GridSearchCV(m, {})", "GridSearchCV without"),
        ("from sklearn.ensemble import StackingClassifier as S\nS([], cv=None)", "StackingClassifier without"),
        ("from sklearn.calibration import CalibratedClassifierCV as C\nC(m, cv='prefit')", "CalibratedClassifierCV wi"),
        ("from sklearn.linear_model import LassoCV\nLassoCV()", "LassoCV without"),
        ("from sklearn.neural_network import MLPClassifier\nMLPClassifier(early_stopping=True)", "with early_stopping"),
        ("from sklearn.ensemble import HistGradientBoostingClassifier as H\nH()", "with early_stopping"),
        (
            "from sklearn.ensemble import GradientBoostingClassifier as G\nG(n_iter_no_change=3)",
            "with n_iter_no_change",
        ),
        ("model.fit(X, y, validation_split=0.2)", "gives validation_split"),
    ],
)
def test_a_breach_is_found(source: str, what: str) -> None:
    assert any(found.startswith(what) or what in found for found in breaches(source))


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.model_selection import cross_val_score\ncross_val_score(m, X, y, cv=splitter)",
        "from sklearn.model_selection import GridSearchCV\nGridSearchCV(m, {}, cv=PurgedKFold(5, embargo))",
        "from sklearn.neural_network import MLPClassifier\nMLPClassifier(n_iter_no_change=3)",
        "from sklearn.ensemble import HistGradientBoostingClassifier as H\nH(early_stopping=False)",
        "from sklearn.ensemble import RandomForestClassifier\nRandomForestClassifier()",
        "text.split(',')\nWalkForward().split(X)",
    ],
)
def test_what_is_right_is_left_alone(source: str) -> None:
    assert not list(breaches(source))
