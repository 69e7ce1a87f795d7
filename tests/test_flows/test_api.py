"""Prefect's server of our own: several runs may begin on a state that has no database yet."""

import subprocess
import sys
import threading
import time
from contextlib import nullcontext

from flows import api
from pipelines.settings import Settings


def test_servers_on_one_state_start_one_after_the_other(tmp_path, monkeypatch):
    inside, most = [], []

    def start(*_):
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True)

    def wait_for(*_):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.2)
        inside.pop()

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setattr(api, "configured", lambda: False)
    monkeypatch.setattr(api, "_start", start)
    monkeypatch.setattr(api, "_wait_for", wait_for)
    monkeypatch.setattr(api, "_drain", lambda: None)
    monkeypatch.setattr(api, "_client_settings", lambda _: nullcontext())
    together = threading.Barrier(2)

    def begin(name):
        settings = Settings(home=tmp_path, state=tmp_path)
        with api.prefect_api(settings, tmp_path / f"{name}.json"):
            # Once ready they live side by side: nobody waits for another's run to end.
            together.wait(timeout=20)

    threads = [threading.Thread(target=begin, args=(name,)) for name in ("run", "schedule")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not together.broken
    assert most == [1, 1]
