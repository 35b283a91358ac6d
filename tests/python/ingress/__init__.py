"""`questframe.ingress` against the official client 4.1.0: the same calls, the same outcomes."""
