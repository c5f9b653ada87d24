"""Who a client is, behind proxies or not, and how many connections clients may have."""
