"""One file per paper: what it sees, what it learns from, and how the two are compared."""
