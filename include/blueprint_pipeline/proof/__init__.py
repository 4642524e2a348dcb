"""Proves on a machine what a simulator promises, and files the evidence."""
