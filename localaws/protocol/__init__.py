"""One AWS call, from bytes to bytes: faults, throttles, client tokens, pages, filters, errors."""
