"""serve_apps/gateway."""
