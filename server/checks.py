"""What `sessions-api check` looks at before a start. Each check returns a line to print, or raises what is wrong."""

import asyncio
import logging

from db.schema import require_newest
from handlers.jwks import JWKSServer
from handlers.keys import KeysUnavailable, StaticKeys
from openapi import contract
from server.database_work import run
from server.settings import database_url_from, read_settings


def check_contract() -> str:
    return f"contract: in order ({', '.join(contract.load().operations)})"


def check_settings() -> str:
    read_settings()
    return "settings: in order"


def check_keys() -> str:
    """The keys can be used, and a key server has some."""
    source = read_settings().keys
    if isinstance(source, StaticKeys):
        return "keys: in order"  # they are read with the settings
    assert isinstance(source, JWKSServer)
    logging.getLogger("sessions").addHandler(logging.NullHandler())  # what is raised says the same
    keys = asyncio.run(source.fetch())
    if not keys:
        raise KeysUnavailable(f"the JWK set holds no key that fits {', '.join(sorted(source.algorithms))}")
    fitting = sorted(frozenset[str]().union(*(key.algorithms for key in keys)))
    return f"keys: {len(keys)} in the JWK set can be used ({', '.join(fitting)})"


def check_database() -> str:
    run(database_url_from(), require_newest)
    return "database: in order"
