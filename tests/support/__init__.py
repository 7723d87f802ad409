"""What tests of every kind use: repositories, projects, and what stands in for Dagster."""
