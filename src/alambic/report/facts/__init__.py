"""What a ledger says: numbers with their interval, unit and rows; no word and no drawing."""
