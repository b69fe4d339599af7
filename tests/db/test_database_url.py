"""Database URLs: those that providers hand out are taken, and all others are refused without repeating any of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from db.engine import Database, require_usable
from db.errors import DatabaseNotReady, DatabaseUnavailable
from db.postgresql_url import Host, parse
from db.schema import require_newest
from tests.conftest import Databases

SECRET = "hunter2"


def check(url: str) -> None:
    async def run() -> None:
        database = Database(url)
        try:
            await require_newest(database)
        finally:
            await database.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "parameters",
    [
        "connect_timeout=10",
        "gssencmode=disable&channel_binding=prefer",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=1000",
        "sslmode=disable",
        "sslmode=prefer",
        "ssl=false",
        "pgbouncer=true&connection_limit=1&statement_cache_size=0",
        "options=-c%20search_path%3Dpublic%20-c%20jit%3Doff",
        "application_name=mine&fallback_application_name=yours&client_encoding=UTF8",
        "target_session_attrs=read-write&load_balance_hosts=random",
        "target_session_attrs=prefer-standby",
        "sslrootcert=",
    ],
)
def test_parameters_that_mean_something_are_taken_and_those_that_mean_nothing_are_ignored(
    postgresql_databases: Databases, parameters: str
) -> None:
    check(f"{postgresql_databases.migrated()}&{parameters}")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
@pytest.mark.parametrize(
    ("rest", "hosts"),
    [
        ("//h/d", [Host("h", None)]),
        ("//u:p@h:1/d", [Host("h", 1)]),
        ("//a:1,b,[::1]:3/d", [Host("a", 1), Host("b", None), Host("::1", 3)]),
        ("//%2Frun%2Fsockets/d", [Host("/run/sockets", None)]),
        ("///d?host=/a,b&port=1,2", [Host("/a", 1), Host("b", 2)]),
        ("//a,b/d?port=7", [Host("a", 7), Host("b", 7)]),
        ("///d?host=::1", [Host("::1", None)]),
        ("//", [Host(None, None)]),
    ],
)
def test_hosts_and_ports_are_read_as_libpq_does(scheme: str, rest: str, hosts: list[Host]) -> None:
    assert parse(f"{scheme}:{rest}").hosts == tuple(hosts)


def arguments(parameters: str) -> dict[str, Any]:
    return dict(parse(f"postgresql://h/d?{parameters}").arguments)


def test_ssl_true_is_the_mode_require_as_in_libpq_and_sslmode_wins() -> None:
    assert arguments("ssl=true")["dsn"] == arguments("sslmode=require")["dsn"] == "postgresql://?sslmode=require"
    assert arguments("ssl=true&sslmode=verify-full")["dsn"] == "postgresql://?sslmode=verify-full"


def test_the_certificates_of_the_system_mean_full_verification() -> None:
    assert arguments("sslrootcert=system") == arguments("sslrootcert=system&sslmode=verify-full")
    assert arguments("sslrootcert=system")["ssl"] is True


def test_user_password_and_database_may_be_percent_encoded_or_parameters() -> None:
    for url in ("postgresql://u%40x:p%2F%3A@h/d%20e", "postgresql://h?user=u%40x&password=p%2F%3A&dbname=d%20e"):
        found = parse(url).arguments
        assert (found["user"], found["password"], found["database"]) == ("u@x", "p/:", "d e")


def test_each_host_has_its_own_timeout() -> None:
    assert parse("postgresql://h/d").timeout > parse("postgresql://h,i/d").timeout
    assert parse("postgresql://h,i/d?connect_timeout=9").timeout == 9
    assert parse("postgresql://h,i/d?connect_timeout=0").timeout == parse("postgresql://h,i/d").timeout


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"{SECRET}://u:{SECRET}@h/d", "is not a database URL"),
        (f"{SECRET}", "is not a database URL"),
        (f"{SECRET}:", "is not a database URL"),
        (f"mysql://u:{SECRET}@h/d", "is not a database URL"),
        (f"postgresql+asyncpg://u:{SECRET}@h/d", "is not a database URL"),
        (f"postgresql://u:{SECRET}@{SECRET}@h/d", "write an @ in a password as %40"),
        (f"postgresql://u:{SECRET}/{SECRET}@h/d", "write an @ in a password as %40"),
        (f"postgresql://u:5?{SECRET}=1@h/d", "a parameter that this program does not know"),
        (f"postgresql://u:{SECRET}@h:99999/d", "a port that is not between 1 and 65535"),
        (f"postgresql://u:{SECRET}@h:0/d", "a port that is not between 1 and 65535"),
        (f"postgresql://u:{SECRET}@h/d?port={SECRET}", "a value of port that is not a number"),
        (f"postgresql://u:{SECRET}@a,b,c/d?port=1,2", "another number of ports than of hosts"),
        (f"postgresql://h/d?connect_timeout={SECRET}", "a value of connect_timeout that is not a number"),
        (f"postgresql://h/d?sslmode={SECRET}", "a value of sslmode other than disable, allow, prefer, require"),
        (f"postgresql://h/d?ssl={SECRET}", "a value of ssl other than true, false"),
        (f"postgresql://h/d?target_session_attrs={SECRET}", "a value of target_session_attrs other than any, read-write"),
        ("postgresql://h/d?gssencmode=require", "a value of gssencmode other than disable, prefer"),
        ("postgresql://h/d?channel_binding=require", "a value of channel_binding other than disable, prefer"),
        ("postgresql://h/d?sslmode=require&sslrootcert=system", "sslrootcert=system beside other parameters"),
        (f"postgresql://h/d?sslrootcert=/{SECRET}", "a file as sslrootcert that cannot be read"),
        (f"postgresql://h/d?passfile=/{SECRET}", "a file as passfile that cannot be read"),
        (f"postgresql://h/d?service={SECRET}", "does not know (number 1 of them); it knows application_name"),
        (f"postgresql://h/d?sslmode=require&supa={SECRET}", "does not know (number 2 of them)"),
        (f"postgresql://h/d?{SECRET}", "does not know (number 1 of them)"),
        (f"postgresql://h/d?&{SECRET}", "does not know (number 1 of them)"),
        (f"postgresql://u:{SECRET}%00@h/d", "is not a database URL"),
        (f"sqlite:///{SECRET}?cache=shared", "an option other than"),
        (f"sqlite:///{SECRET}?mode={SECRET}", "an option other than"),
        (f"sqlite:///{SECRET}?immutable=1&immutable=1", "an option other than"),
        ("sqlite://", "must name a file"),
        (f"sqlite://{SECRET}", "must name a file"),
    ],
)
def test_other_urls_are_refused_in_a_sentence_that_repeats_none_of_them(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|must|names) ") as refused:
        require_usable(url)
    assert reason in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("options=nonsense", "invalid"),
        ("options=-c%20nothing_like_it%3D1", "nothing_like_it"),
    ],
)
def test_parameters_that_the_server_refuses_make_it_unavailable_in_the_words_of_the_server(
    postgresql_databases: Databases, parameters: str, reason: str
) -> None:
    with pytest.raises(DatabaseUnavailable, match=reason):
        check(f"{postgresql_databases.migrated()}&{parameters}")


def test_a_root_certificate_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DatabaseUnavailable, match=r"root certificate file .* does not exist"):
        check("postgresql://127.0.0.1:1/d?sslmode=verify-full")


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ("/nothing/here", "^no server listens on the socket that its URL names"),
        ("127.0.0.1&port=1", "^.*Connect call failed"),
        ("/nothing/here,127.0.0.1&port=1", "^none of the 2 servers will do: .*Connect call failed"),
    ],
)
def test_a_server_that_does_not_listen_is_unavailable_in_a_sentence(hosts: str, reason: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=reason):
        check(f"postgresql:///d?host={hosts}")


@pytest.mark.parametrize("option", ["mode=ro", "immutable=1"])
def test_a_file_that_is_opened_for_reading_only_is_not_written(sqlite_databases: Databases, option: str) -> None:
    async def write() -> None:
        database = Database(f"{sqlite_databases.migrated()}?{option}")
        try:
            async with database.transaction():
                pytest.fail("it was opened for writing")
        finally:
            await database.close()

    with pytest.raises(DatabaseNotReady, match="SESSIONS_WRITER_DATABASE_URL"):
        asyncio.run(write())
