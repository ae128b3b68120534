"""Sealed messages between control plane and guests, the same code on both ends."""
