"""`python -m studentcli` is the `studentcli` command."""

from studentcli.cli import main

if __name__ == "__main__":
    main()
