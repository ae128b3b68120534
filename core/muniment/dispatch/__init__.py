"""The control side of the bus: outbox to guest, guest to signals."""
