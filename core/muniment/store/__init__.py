"""Events to bytes, once and in order, with the rows that must not disagree with them."""
