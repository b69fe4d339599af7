"""Limits on connections, the same for both engines."""

CONNECTIONS = 10
"""Connections of one process for ordinary requests."""
SNAPSHOTS = 8
"""Further connections of one process, for long lists that are streamed."""
CONNECTION_WAIT = 5
"""Seconds that a request waits for a free connection."""
CONNECT_TIMEOUT = 5
"""Seconds in which a PostgreSQL server must accept a connection."""
BUSY_TIMEOUT = 5
"""Seconds that SQLite waits for a writer."""
