"""Genie Sim's data collection server, over its own gRPC protocol: the server is the maker's, unmodified.

What it says and does is read from AgibotTech/genie_sim (MPL-2.0) at commit 0e659ad (v3.2.0, 2026-07-29), folder
``source/data_collection``. No line of it is copied. It was never run with this code: docs/simulators.md.
"""
