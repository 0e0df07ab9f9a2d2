"""edgebed/commands."""
