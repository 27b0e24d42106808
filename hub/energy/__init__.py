"""The arithmetic of energy, pure: no I/O, no clock, no asyncio.

``calendar`` buckets of a time zone · ``slots`` the columns and exact sums of 15 minutes, and the rule of a series ·
``intervals`` gaps, pieces and shares · ``counter`` the state machine of registers · ``derive`` readings → slots ·
``reach`` how far a change among readings reaches · ``live`` the same fold for many series at once · ``periods``
slots → hours, days, months · ``balance`` latest powers → sources, uses and what nobody measured.

The site, over 15-minute slots: ``site_meters`` which series decide · ``site_slots`` the columns of all devices ·
``site_balance`` both sides of every slot · ``allocation`` who was fed by what · ``stock`` the battery as an
inventory · ``exact`` sharing whole numbers · ``site_sums`` sums by buckets · ``figures`` and ``flows`` what people
read of them · ``asked`` periods and comparisons · ``sessions`` of cars · ``media`` gas, water, heat ·
``setup_check`` wiring faults.

What people decide: ``corrections`` and ``decided`` readings as they count · ``installations`` and ``cuts`` meters at
a point by date.

Money: ``tariff`` a contract, read by ``component_parser`` and ``formula`` · ``price_grid`` prices on the slots ·
``usage`` energy of a metering point · ``rating`` and ``tiers`` prices of slots · ``peaks`` billed power ·
``netting`` · ``bill`` and ``bill_lines`` · ``invoice`` beside a bill · ``budget``, ``projection``, ``peak`` where it
is heading · ``whatif`` other contracts and batteries · ``money`` exact decimals.
"""
