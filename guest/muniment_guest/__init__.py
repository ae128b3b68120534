"""The agent that runs beside every database."""
