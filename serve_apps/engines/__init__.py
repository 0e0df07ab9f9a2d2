"""serve_apps/engines."""
