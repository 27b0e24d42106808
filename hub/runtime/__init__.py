"""How work runs: actors on one asyncio loop, their supervisor, clocks, jobs and the loop watchdog."""
