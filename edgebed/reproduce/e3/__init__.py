"""edgebed/reproduce/e3."""
