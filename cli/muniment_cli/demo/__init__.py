"""The demo: one command from nothing to a restored database."""
