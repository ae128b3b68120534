"""Who is asking: the identity port and the embedded adapter for one machine."""
