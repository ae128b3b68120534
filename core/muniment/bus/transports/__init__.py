"""Ways for sealed bytes to travel; all equally untrusted."""
