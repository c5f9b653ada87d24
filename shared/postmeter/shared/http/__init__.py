"""How our ports speak HTTP: bounded servers, bodies, refusals, who the client is."""
