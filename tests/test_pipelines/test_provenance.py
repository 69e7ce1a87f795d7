"""A result knows the commit and the lock file it came from, or says that it does not."""

import subprocess
from pathlib import Path

from pipelines.provenance import code_digest, provenance


def test_a_checkout_is_named_with_its_state(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "requirements.lock").write_text("numpy==1\n")
    git("add", ".")
    git("commit", "-qm", "one")
    clean = provenance(tmp_path)
    assert clean["commit"] == git("rev-parse", "HEAD")
    assert clean["dirty"] is False
    (tmp_path / "requirements.lock").write_text("numpy==2\n")
    dirty = provenance(tmp_path)
    assert dirty["dirty"] is True
    assert dirty["lock_sha256"] != clean["lock_sha256"]


def test_outside_a_checkout_nothing_is_claimed(tmp_path: Path) -> None:
    made = provenance(tmp_path)
    assert (made["commit"], made["dirty"], made["lock_sha256"]) == (None, None, None)


def test_the_digest_of_the_code_sees_every_source_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.py").write_text("1")
    before = code_digest(tmp_path)
    (tmp_path / "models" / "notes.txt").write_text("x")
    assert code_digest(tmp_path) == before
    (tmp_path / "models" / "b.py").write_text("")
    assert code_digest(tmp_path) != before
