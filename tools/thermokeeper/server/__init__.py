"""The provisioning server: who a device is, what it should run, and what it measured.

`app.create_app` makes the ASGI application, `local.LocalServer` runs it on a free port for demos and tests,
`client.VendorClient` talks to it. The wire contract is the page the server shows at /docs.
"""
