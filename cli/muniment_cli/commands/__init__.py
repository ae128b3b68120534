"""Commands that do one thing and end; one file a group."""
