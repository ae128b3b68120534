"""Muniment's core: the events, the operations, the driver contract and the envelope."""
