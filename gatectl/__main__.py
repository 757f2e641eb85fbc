"""`python -m gatectl`."""

from gatectl.cli.main import main

raise SystemExit(main())
