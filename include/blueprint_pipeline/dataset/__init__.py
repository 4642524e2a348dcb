"""Datasets as labs load them: LeRobot v3.0 and its v2.1 twin, cards, and proof that they load."""
