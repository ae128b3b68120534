"""The muniment command."""
