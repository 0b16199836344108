"""``python -m LungNoduleSegLib.cli``."""

from LungNoduleSegLib.cli import main

if __name__ == "__main__":
    main()
