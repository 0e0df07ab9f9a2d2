"""edgebed/reproduce/ma."""
