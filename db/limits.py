"""Limits on connections and statements, in numbers and seconds."""

CONNECTIONS = 10
"""Connections of one process for ordinary requests."""
SNAPSHOTS = 8
"""Further connections of one process, for long lists that are streamed."""
CONNECTION_WAIT = 5
"""Wait for a free connection."""
CONNECT_TIMEOUT = 5
"""Time in which a PostgreSQL server must accept a connection, where it is the only one."""
HOST_TIMEOUT = 2
"""Time in which each of several PostgreSQL servers must accept a connection."""
STATEMENT_TIMEOUT = 5
"""Time that the database may work on one statement, unless the operator sets another limit."""
STATEMENT_GRACE = 1
"""Time beyond the statement timeout after which a PostgreSQL server that has not responded counts as silent."""
CLOSE_TIMEOUT = 2
"""Time in which a PostgreSQL server must acknowledge the end of a statement or of a connection."""
BUSY_TIMEOUT = 5
"""Wait for a writer of SQLite."""
SIGN_OF_LIFE_INTERVAL = 2
"""Time between two questions to a PostgreSQL server whether it responds at all, while a command writes to it."""
SIGN_OF_LIFE_TIMEOUT = 2
"""Time in which it must respond to such a question."""
