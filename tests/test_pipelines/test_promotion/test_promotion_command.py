"""``engine promote``, ``rollback`` and ``history``, as a user and a program see them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import engine
from pipelines.promotion.transaction import log_path
from pipelines.settings import Settings
from pipelines.tracking import Tracker
from tests.test_pipelines.test_promotion.registry import MODEL, add_version

Cli = Callable[..., Any]


@pytest.fixture
def cli(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a verb in this process, on the test's registry."""
    monkeypatch.setenv("ENGINE_STATE", str(settings.state))
    return lambda *words: CliRunner().invoke(engine.app, list(words), catch_exceptions=False)


@pytest.fixture
def versions(tracker: Tracker) -> None:
    """One that passed, one that passed against it, and one that did not."""
    add_version(tracker, 1)
    add_version(tracker, 2, champion="1")
    add_version(tracker, 3, passed=False, champion="2")


@pytest.mark.usefixtures("versions")
def test_a_life_of_promotions(cli: Cli, settings: Settings) -> None:
    first = cli("promote", "BTC-USD", "--horizon", "4h", "--version", "1")
    assert first.exit_code == 0
    assert first.stdout.startswith(f"champion of {MODEL}: version 1 (before: none), promotion: passed: all rules\n")
    assert "start `engine serve` again" in first.stdout
    second = json.loads(cli("promote", "--horizon", "4h", "--version", "2", "--json").stdout)
    assert (second["moved"]["from"], second["moved"]["to"], second["moved"]["kind"]) == ("1", "2", "promotion")
    assert "overridden" not in json.dumps(second)

    refused = cli("promote", "--horizon", "4h", "--version", "3")
    assert (refused.exit_code, refused.stdout) == (2, "")
    for part in ("the gate did not pass version 3", "where: models:/", "rule: ", "what to do: ", "--override"):
        assert part in refused.stderr
    forced = cli("promote", "--horizon", "4h", "--version", "3", "--override", "asked\nfor", "--json")
    assert json.loads(forced.stdout)["moved"]["override"] == "asked\nfor"

    back = cli("rollback", "--horizon", "4h", "--why", "it lost money")
    assert back.stdout.startswith(f"champion of {MODEL}: version 2 (before: version 3), rollback: it lost money\n")
    assert json.loads(cli("rollback", "--horizon", "4h", "--json").stdout)["moved"]["to"] == "1"
    none = cli("rollback", "--horizon", "4h", "--json")
    assert none.exit_code == 2
    error = json.loads(none.stdout)["error"]
    assert error["type"] == "PromotionError"
    assert "no champion before version 1" in error["what"]
    assert all(error[part] for part in ("where", "rule", "remedy"))

    shown = cli("history")
    assert shown.exit_code == 0
    head, *rows, said = shown.stdout.splitlines()
    assert head.split() == ["time", "who", "model", "alias", "from", "to", "kind", "verdict", "why"]
    assert [row.split()[4:8] for row in rows] == [
        ["champion", "–", "1", "promotion"],
        ["champion", "1", "2", "promotion"],
        ["champion", "2", "3", "override"],
        ["champion", "3", "2", "rollback"],
        ["champion", "2", "1", "rollback"],
    ]
    assert "refused (challenge) " in rows[2]
    assert rows[2].endswith("asked for (over the gate, which said: refused: too few trades)")
    assert said == "Sound: 5 move(s) in an unbroken chain, and the registry agrees with it."

    told = json.loads(cli("history", "BTC/USD", "--horizon", "4h", "--alias", "champion", "--json").stdout)
    assert (told["chain"]["sound"], told["registry"]["agrees"]) == (True, True)
    assert told["log"] == str(log_path(settings))
    assert [(one["line"], one["outcome"], one["recovered"]) for one in told["moves"]][1] == (3, "done", False)
    assert told["moves"][1]["verdict"]["question"] == "challenge"
    assert told["moves"][2]["override"] == "asked\nfor"
    for other in (["ETH/USD"], ["--alias", "candidate"], ["--horizon", "1h"], ["--timeframe", "30m"]):
        assert json.loads(cli("history", *other, "--json").stdout)["moves"] == []


@pytest.mark.usefixtures("versions")
def test_a_changed_log_is_said_and_ends_with_1(cli: Cli, settings: Settings, tracker: Tracker) -> None:
    for version in ("1", "2"):
        assert cli("promote", "--horizon", "4h", "--version", version).exit_code == 0
    log = log_path(settings)
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"why":"passed: all rules"', b'"why":"passed: no rules"')
    log.write_bytes(b"".join(lines))
    broken = cli("history")
    assert broken.exit_code == 1
    assert "BROKEN    the log of promotions is not as it was written: line 3 was changed" in broken.stdout
    assert f"where: {log}, line 3" in broken.stdout
    assert "Sound" not in broken.stdout
    told = cli("history", "--json")
    assert told.exit_code == 1
    chain = json.loads(told.stdout)
    assert (chain["chain"]["sound"], chain["registry"]["agrees"]) == (False, None)
    assert chain["chain"]["fault"]["where"] == f"{log}, line 3"
    assert [one["to"] for one in chain["moves"]] == ["1"]
    refused = cli("rollback", "--horizon", "4h")
    assert refused.exit_code == 2
    assert "line 3 was changed" in refused.stderr

    log.write_bytes(whole)
    tracker.move_alias("4h", "champion", "1")
    behind = cli("history", "--json")
    assert behind.exit_code == 1
    assert json.loads(behind.stdout)["registry"] == {
        "agrees": False,
        "contradictions": [f"champion of {MODEL} is version 1 in the registry and version 2 in the log"],
    }
    assert "DIFFERS   champion of" in cli("history").stdout


@pytest.mark.usefixtures("versions")
def test_what_a_kill_left_is_shown_as_it_ended(
    cli: Cli, settings: Settings, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "move_alias", fail)
        assert cli("promote", "--horizon", "4h", "--version", "1").exit_code == 2
    tracker.client.delete_model_version(MODEL, "1")
    shown = cli("history")
    assert shown.exit_code == 0
    assert "VOID, version 1 is no longer registered: passed: all rules" in shown.stdout
    # A broken line after an intent: nobody may bring it to its end, and it is shown as it stands.
    lines = log_path(settings).read_bytes().splitlines(keepends=True)
    log_path(settings).write_bytes(lines[0] + b"?\n")
    assert "UNFINISHED: passed: all rules" in cli("history").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("promote", "--horizon", "4h", "--version", "9"), "has no version 9"),
        (("promote", "nonsense", "--horizon", "4h", "--version", "1"), "unknown symbol 'NONSENSE'"),
        (("promote", "--horizon", "4h", "--version", "0"), "greater than or equal to 1"),
        (("promote", "--version", "1"), "Missing option '--horizon'"),
        (("promote", "--horizon", "4h", "--version", "1", "--override", ""), "has no version 1"),
        (("rollback", "ETH/USD", "--horizon", "4h"), "ETH-USD-1h-4h has no champion before this: it never had one"),
        (("history", "nonsense"), "unknown symbol 'NONSENSE'"),
    ],
)
def test_what_can_be_mended_is_said_and_ends_with_2(cli: Cli, words: tuple[str, ...], said: str) -> None:
    result = cli(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("promote", ("symbol", "--horizon", "--version", "--timeframe", "--override", "--json", "Exit code 0")),
        ("rollback", ("symbol", "--horizon", "--timeframe", "--why", "--json", "Exit code 0")),
        ("history", ("symbol", "--horizon", "--timeframe", "--alias", "--json", "Exit code 0")),
    ],
)
def test_help_is_complete(cli: Cli, verb: str, options: tuple[str, ...]) -> None:
    text = cli(verb, "--help").stdout
    assert all(option in text for option in options)
