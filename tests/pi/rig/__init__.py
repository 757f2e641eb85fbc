"""An emulated Raspberry Pi 3B, built from Debian's packages and this checkout, and driven from outside."""
