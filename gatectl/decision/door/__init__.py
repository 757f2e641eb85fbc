"""A door as a pure machine: inputs in, effects out.

`machine.py` hands each input to the part it belongs to: `scan.py` or `by_hand.py`, both of them driven by
their table in `table.py`. `messages.py` has the inputs and effects. There is no clock and no I/O here:
`daemon/door.py` performs the effects and feeds their results back.
"""
