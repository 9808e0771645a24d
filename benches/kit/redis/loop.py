"""Renames keys as most people do it: one call after the other."""
import sys

import redis

client = redis.Redis(port=int(sys.argv[1]))
for key in client.scan_iter("user_*"):
    client.copy(key, b"user:" + key[5:] + b":profile")
for key in client.scan_iter("user_*"):
    client.delete(key)
