"""Runs one command and prints what it cost: exit code, wall ms, cpu ms, peak KiB.

    python3 -I -S launch.py LOG DIRECTORY STDIN COMMAND…

A process of its own, because Linux counts the memory of whoever starts a command as the command's: this one imports
nothing, so that it hides only what is under its own 9 MiB. It times the command alone, not itself.
"""
import os
import sys
import time

log, directory, stdin, *command = sys.argv[1:]
os.chdir(directory)
files = [
    (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    (os.POSIX_SPAWN_DUP2, 1, 2),
]
start = time.perf_counter()
pid = os.posix_spawnp(command[0], command, os.environ, file_actions=files)
status, usage = os.wait4(pid, 0)[1:]
wall = time.perf_counter() - start
cpu = usage.ru_utime + usage.ru_stime
print(os.waitstatus_to_exitcode(status), wall * 1000, cpu * 1000, usage.ru_maxrss)
