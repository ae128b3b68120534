"""Where the objects of a backup go."""
