"""What carries sealed bytes: `memory` for tests and simulations, `gateway` over HTTP; each under one contract suite."""
