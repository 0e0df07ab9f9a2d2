"""Watching a testbed: `alerts.yaml` for Prometheus, `dashboard.json` for Grafana.

Read `files.py`, which writes both where they are wanted, with a configuration that finds the testbed.
"""
