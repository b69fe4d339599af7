"""An outage of the key server holds up those who need a key, and nobody else."""

import asyncio

import pytest

from bench.key_server_outage import measure


def test_the_event_loop_goes_on_while_the_key_server_is_silent(
    sqlite_demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    fetch_timeout = 1.0
    outage = asyncio.run(measure(sqlite_demo_url, fetch_timeout=fetch_timeout))
    assert set(outage.statuses) == {503}
    assert outage.took > fetch_timeout  # somebody has waited for a fetch to its end
    # Far from the figure that the command prints: other tests run beside this one. A fetch on the loop would take it all.
    assert outage.longest_stall < fetch_timeout / 2
