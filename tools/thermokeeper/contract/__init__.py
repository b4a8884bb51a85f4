"""What server, client, factory and boards agree on: messages, their fields, times, ids. It knows none of them."""
