"""Proof from outside: the real lerobot loads the dataset, and public graders look at it.

They live in an environment of their own (``make certify-env``); modules named ``in_*`` run there, and only there.
"""
