"""`python -m scheduler` is `equipoise`."""

from scheduler.cli.main import main

if __name__ == "__main__":
    main()
