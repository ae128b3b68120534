"""The read models: one file each, and the projector that keeps them."""
