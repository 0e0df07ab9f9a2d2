"""edgebed/runs."""
