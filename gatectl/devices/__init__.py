"""Everything that touches hardware: scanners, relay, signals."""
