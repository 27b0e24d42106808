"""The public contract, asked of a real hub process from outside."""
