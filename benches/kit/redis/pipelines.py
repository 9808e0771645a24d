"""Renames keys as those do it who know pipelines: a thousand commands at once."""
import sys

import redis

SIZE = 1000


def sweep(client, queue):
    """Queues something for every key, a thousand at a time."""
    pipe = client.pipeline(transaction=False)
    for key in client.scan_iter("user_*", count=SIZE):
        queue(pipe, key)
        if len(pipe) >= SIZE:
            pipe.execute()
    pipe.execute()


client = redis.Redis(port=int(sys.argv[1]))
sweep(client, lambda pipe, key: pipe.copy(key, b"user:" + key[5:] + b":profile"))
sweep(client, lambda pipe, key: pipe.delete(key))
