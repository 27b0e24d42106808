"""What the hub promises people about stops, full disks, bad plugins, hostile input and servers that go away."""
