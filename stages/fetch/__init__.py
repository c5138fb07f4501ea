"""fetch: the data set's files, checked, in data/raw."""
