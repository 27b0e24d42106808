"""The web side of the hub: HTTP API, websocket, pages. It asks the hub and never reaches into it."""
