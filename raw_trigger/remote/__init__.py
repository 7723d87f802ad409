"""A deployment of Dagster, asked over HTTP by its webserver's API: no Dagster is needed here."""
