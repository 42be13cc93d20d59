"""The subscriber library and the services we ship."""
