"""The server beside its peers, all with the same classifier and the same reading of images."""
