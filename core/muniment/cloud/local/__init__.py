"""The local cloud: agents as processes of this machine."""
