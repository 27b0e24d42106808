"""Plugins: the door through which every reading enters."""
