"""Reports: facts from the ledger, claims made of facts, figures, and the page that holds them."""
