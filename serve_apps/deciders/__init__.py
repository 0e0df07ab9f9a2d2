"""serve_apps/deciders."""
