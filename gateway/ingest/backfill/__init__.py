"""Back-fill: what the provider could not deliver, fetched from its own log of webhooks.

The provider retries a webhook for about a minute and then gives up. Whatever was missed (while the
gateway was down, out of reach, or could not write) is found in `GET /webhook_deliveries`.
"""
