"""Limits on connections."""

CONNECTIONS = 10
"""Connections of one process for ordinary requests."""
SNAPSHOTS = 8
"""Further connections of one process, for long lists that are streamed."""
CONNECTION_WAIT = 5
"""Seconds that a request waits for a connection."""
CONNECT_TIMEOUT = 5
"""Seconds in which a PostgreSQL server must accept a connection, where it is the only one."""
HOST_TIMEOUT = 2
"""Seconds in which each of several PostgreSQL servers must accept a connection."""
SILENCE = 3
"""Seconds of a statement after which the server is asked for a sign of life, again and again."""
SIGN_OF_LIFE_TIMEOUT = 2
"""Seconds that it has to give one."""
CLOSE_TIMEOUT = 2
"""Seconds that a PostgreSQL server has to acknowledge the end of a statement or of a connection."""
BUSY_TIMEOUT = 5
"""Seconds that SQLite waits for a writer."""
