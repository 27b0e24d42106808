"""Pure data of the hub: what things are called, which unit and which sign they have.

No asyncio, no I/O, no clock. **Sign rule, said once:** grid import, production, battery discharge and
consumption are positive; export and charge are the negative side of the same power series, or counters of
their own. **Times** are UTC epoch milliseconds (``*_ms``); local time exists only at the edges.
"""
