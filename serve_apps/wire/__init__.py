"""serve_apps/wire."""
