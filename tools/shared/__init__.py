"""What several commands use: paths, revisions, predictions, hashes of outputs."""
