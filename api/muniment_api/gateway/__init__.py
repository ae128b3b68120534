"""The gateway: what guests talk to. It holds no key, sees sealed bytes, and touches three tables."""
