"""What is true and what may happen: one file per aggregate, pure."""
