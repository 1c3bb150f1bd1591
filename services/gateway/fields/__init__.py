"""Fields of request bodies: tables that check a body and say what is wrong with it in the words of its API."""
