"""serve_apps/vram."""
