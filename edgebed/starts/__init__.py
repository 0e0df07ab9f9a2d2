"""Working starts for controllers of one's own, as `edgebed new` writes them: each is a module like any other here, so
that what is written out has been run, typed and checked."""
