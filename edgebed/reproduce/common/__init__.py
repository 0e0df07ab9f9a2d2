"""edgebed/reproduce/common."""
