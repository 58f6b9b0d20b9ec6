"""Stand-ins: what tests build, compile or pretend, where the real thing is a GPU or a long run."""
