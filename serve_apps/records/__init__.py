"""serve_apps/records."""
