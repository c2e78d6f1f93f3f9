"""What several exchanges say together: uploads in parts, ranged downloads, appends, retries."""
