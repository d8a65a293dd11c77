"""Attacks on all readers and writers: damaged inputs, kills at system calls, names that lead
out.
"""
