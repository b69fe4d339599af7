"""What can go wrong in the data, in the data's own words. The edge decides what each becomes (`handlers.problems`)."""


class WorkspaceNotFound(Exception):
    """There is no workspace with this id: there never was, or it has been removed."""


class DatabaseUnavailable(Exception):
    """The database gave no answer: it is down, locked, damaged, out of connections or without its tables."""


class DatabaseNotReady(Exception):
    """The database can be reached, but its tables are missing or of another version; the message says what to do."""
