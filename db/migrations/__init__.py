"""Alembic's folder: how a database becomes what `db.tables` describes, step by step."""
