"""`python -m ipse`."""

from ipse.cli import main

if __name__ == "__main__":
    main()
