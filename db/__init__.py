"""The data: tables, queries, engine, migrations, import and demo data. Knows neither HTTP nor Connexion."""
