"""An engine in a container of this machine's Docker engine."""
