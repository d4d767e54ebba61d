"""Backfill: what the provider could not deliver, fetched from its delivery log.

The provider retries a webhook for about a minute and then gives up. Whatever was missed (while the
gateway was down, out of reach, or could not write) is found in `GET /webhook_deliveries`.
"""
