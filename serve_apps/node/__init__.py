"""serve_apps/node."""
