"""Where an engine runs: as processes of this machine, later in containers."""
