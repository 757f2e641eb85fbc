"""The partners' protocols, and the one client that asks them."""
