"""The secrets of a deployment, made where it runs: `python -m xylem.shared.runtime.provision make`.

Comes in: an empty folder for each holder below one root. Goes out: what each holder needs to know, and no more, in
files that only their owner reads. `holders` says who gets what, `certificates` makes the authority and the server's
certificate, `write` puts all on disk once.
"""
