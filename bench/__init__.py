"""Benchmarks: what the hub does on this machine, beside the floor of bare code measured in the same run."""
