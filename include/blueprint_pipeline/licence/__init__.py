"""Licences: of assets and components, what the policy allows, and what a bundle's licence is."""
