"""`python -m lossgen`."""

from lossgen.cli import main

if __name__ == "__main__":
    main()
