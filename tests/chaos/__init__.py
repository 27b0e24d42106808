"""Real hub processes, and what is done to them: killed, starved, flooded, given evil plugins."""
