"""A small web shop: raw tables in git, Dagster assets on top."""
