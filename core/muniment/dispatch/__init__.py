"""The control side of the bus: outbox rows become sealed commands, what guests say becomes signals and events."""
