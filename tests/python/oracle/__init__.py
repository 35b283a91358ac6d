"""The official client 4.1.0 as oracle, in a process and an environment of its own."""
