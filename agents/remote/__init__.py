"""The program that runs on a host: Python 3.8 or newer, standard library only.

Nothing of it is installed: the laptop sends these sources over the SSH channel
(:mod:`agents.bootstrap`), the host compiles them in memory and forgets them when the
link ends. Imports stay few because every one costs memory on a machine that trains.
"""
