"""Datasets as labs load them: LeRobot v3.0 and its v2.1 twin, their cards, and the proof that they load."""
