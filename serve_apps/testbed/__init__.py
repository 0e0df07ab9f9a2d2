"""serve_apps/testbed."""
