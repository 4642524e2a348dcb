"""Licences: what assets and components are under, what the policy allows, and what that makes of a bundle."""
