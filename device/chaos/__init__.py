"""The failure suite: everything that can befall a unit's alerts is done to it here, on purpose, and what became of each
alert is counted. `fallwatch chaos` runs it on a customer's unit, the tests run it on every change.

Nothing in the rest of device/ knows of it: what fails, fails because a child process of this suite put something in
between (taps.py, disk.py) or because a broker of this suite misbehaves (scripted_broker.py).
"""
