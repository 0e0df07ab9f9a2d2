"""From a testbed inventory to the file that brings its machines up: Ray's launcher files, and KubeRay's manifest.

`machines.py` is what a user says of the machines, `launcher.py` what every launcher file holds, and `aws.py`, `gcp.py`,
`local.py` and `kuberay.py` what is one provider's own. `render.py` puts them together and writes the text.
"""
