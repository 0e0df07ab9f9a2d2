"""`python -m edgebed`."""

from edgebed.commands.main import main

if __name__ == "__main__":
    main()
