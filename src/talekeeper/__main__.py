"""`python -m talekeeper` is the command `talekeeper`."""

from talekeeper.cli import main

if __name__ == "__main__":
    main()
