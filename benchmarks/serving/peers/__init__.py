"""The same classifier under other servers. They run in a Python of their own that has them."""
