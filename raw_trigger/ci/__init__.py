"""What a CI system gets: outputs, batches, a summary, annotations and a comment on the pull request."""
