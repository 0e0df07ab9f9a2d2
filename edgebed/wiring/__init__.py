"""edgebed/wiring."""
