"""Sealed messages between the control plane and its guests: the same code on both ends, knowing no store.

Needs msgspec and cryptography alone; the gateway transport also httpx.
"""
