"""The arithmetic of energy, pure: no I/O, no clock, no asyncio.

``calendar`` buckets of a time zone · ``slots`` the columns and exact sums of 15 minutes, and the rule of a series ·
``intervals`` gaps, pieces and shares · ``counter`` the state machine of registers · ``derive`` readings → slots ·
``reach`` how far a change among readings reaches · ``live`` the same fold for many series at once · ``periods``
slots → hours, days, months · ``balance`` latest powers → sources, uses and what nobody measured.
"""
