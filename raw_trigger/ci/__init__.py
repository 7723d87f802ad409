"""What a CI system is told: outputs, batches, summary, annotations and a comment on the pull request."""
