"""The REST API, and the gateway that guests talk to."""
