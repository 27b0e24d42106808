"""``python -m hub`` is the same as ``wattline``."""

from hub.cli import main

if __name__ == "__main__":
    main()
