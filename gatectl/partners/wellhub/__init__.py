"""Wellhub (Gympass) Access Control: the check-in of members, and the custom codes by which gyms know them."""
